import { assertEquals, assertStringIncludes } from "@std/assert";
import { startBrowserFlow, type StartedFlow } from "../../support/browser_flow.ts";
import { json } from "../../support/http_server.ts";
import type { TestOidcProvider } from "../../support/oidc_provider.ts";
import {
  oidcProviderWorld,
  type ProviderWorld,
  scriptedProviderWorld,
} from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const CODE = "attackers-code-4f1c9b";

/** Opens an address as the browser would; gives the status and the title of the page. */
async function open(address: string, init?: RequestInit): Promise<[status: number, title: string]> {
  const response = await fetch(address, init);
  const text = await response.text();
  assertEquals(response.headers.get("cache-control"), "no-store");
  return [response.status, /<title>(.*?)<\/title>/.exec(text)?.[1] ?? ""];
}

/** The person signs in after all. */
async function goesOn(world: ProviderWorld<TestOidcProvider>, { prompt, session }: StartedFlow) {
  assertEquals((await world.provider.follow(prompt.url)).title, "Your answer has arrived");
  await using signedIn = await session;
  assertEquals((await signedIn.status()).signedIn, true);
}

const STRAYS: [what: string, parameters: (state: string) => string][] = [
  ["a forged state", () => `code=${CODE}&state=${"A".repeat(43)}`],
  ["a state that begins right", (state) => `code=${CODE}&state=${state.slice(0, -1)}`],
  ["a state that goes on", (state) => `code=${CODE}&state=${state}A`],
  ["no state", () => `code=${CODE}`],
  ["an empty state", () => `code=${CODE}&state=`],
  ["two states", (state) => `code=${CODE}&state=${state}&state=${state}`],
  ["two codes", (state) => `code=${CODE}&code=other&state=${state}`],
  ["an error without state", () => "error=access_denied"],
  ["a forged error", () => "error=access_denied&state=x"],
  ["the state alone", (state) => `state=${state}`],
  ["nothing", () => ""],
];

for (const [what, parameters] of STRAYS) {
  Deno.test(`browser attack: ${what} changes nothing`, async () => {
    await using world = await oidcProviderWorld();
    const started = await startBrowserFlow(world);
    const address = `${started.prompt.redirectUri}?${parameters(started.state)}`;
    assertEquals(await open(address), [400, "Nothing to do here"]);
    await rejectsWith("address_refused", () => started.prompt.submit(address));
    await goesOn(world, started);
  });
}

Deno.test("browser attack: the state of an earlier sign-in changes nothing", async () => {
  await using world = await oidcProviderWorld();
  const earlier = await startBrowserFlow(world);
  const old = await world.provider.follow(earlier.prompt.url, {
    stopAt: earlier.prompt.redirectUri,
  });
  assertEquals((await open(old.url))[1], "Your answer has arrived");
  await (await earlier.session).clear();
  const started = await startBrowserFlow(world);
  const replayed = new URL(old.url);
  const replay = `${started.prompt.redirectUri}${replayed.search}`;
  assertEquals((await open(replay))[0], 400);
  await rejectsWith("address_refused", () => started.prompt.submit(replay), "this sign-in");
  await goesOn(world, started);
});

for (const way of ["in the browser", "by paste"]) {
  Deno.test(`browser attack: the code of another sign-in, handed in ${way}, gets no token`, async () => {
    await using world = await oidcProviderWorld();
    const attacker = await startBrowserFlow(world);
    const { redirectUri } = attacker.prompt;
    const stolen = await world.provider.follow(attacker.prompt.url, {
      stopAt: redirectUri,
      login: "mallory@example.com",
    });
    const victim = await startBrowserFlow(world, { profile: "victim" });
    const code = new URL(stolen.url).searchParams.get("code")!;
    const iss = world.provider.issuer;
    const failed = rejectsWith("provider_refused", () => victim.session);
    if (way === "by paste") await victim.prompt.submit(victim.answer({ code, iss }));
    else assertEquals((await open(victim.answer({ code, iss })))[1], "Your answer has arrived");
    assertEquals((await failed).oauthError, "invalid_grant");
    attacker.session.catch(() => undefined);
    await attacker.prompt.submit(stolen.url).catch(() => undefined);
    await attacker.session.catch(() => undefined);
  });
}

Deno.test("browser attack: the code of another client gets no token", async () => {
  await using world = await oidcProviderWorld({
    configure(config) {
      const [own] = config.clients!;
      config.clients = [own!, { ...own!, client_id: "other-client" }];
    },
  });
  const other = await startBrowserFlow(world, { clientId: "other-client" });
  const { redirectUri } = other.prompt;
  const stolen = await world.provider.follow(other.prompt.url, { stopAt: redirectUri });
  const code = new URL(stolen.url).searchParams.get("code")!;
  const victim = await startBrowserFlow(world);
  const failed = rejectsWith("provider_refused", () => victim.session);
  const page = await open(victim.answer({ code, iss: world.provider.issuer }));
  assertEquals(page, [200, "Your answer has arrived"]);
  assertEquals((await failed).oauthError, "invalid_grant");
  await (await Promise.all([other.session, open(stolen.url)]))[0].close();
});

Deno.test("browser attack: the answer of another provider (mix-up) gets no code to any", async () => {
  await using world = await oidcProviderWorld();
  const { answer, session } = await startBrowserFlow(world);
  const failed = rejectsWith("provider_invalid", () => session, "iss");
  const before = world.provider.requests.length;
  const page = await open(answer({ code: CODE, iss: "https://evil.example.com" }));
  assertEquals(page, [200, "Your answer has arrived"]);
  await failed;
  assertEquals(world.provider.requests.slice(before), []);
});

Deno.test("browser attack: an answer without the issuer is refused where the provider sends it", async () => {
  await using world = await oidcProviderWorld();
  const { answer, session } = await startBrowserFlow(world);
  const failed = rejectsWith("provider_invalid", () => session, "iss");
  await open(answer({ code: CODE }));
  await failed;
});

for (
  const [what, nonce] of [
    ["of another sign-in", () => "n".repeat(43)],
    ["missing", () => undefined],
  ] as const
) {
  Deno.test(`browser attack: an ID token whose nonce is ${what} is refused`, async () => {
    await using world = await scriptedProviderWorld({ discovery: {} });
    const { provider } = world;
    provider.discovery = { authorization_endpoint: `${provider.issuer}/authorize` };
    provider.script.token.push(async () =>
      await provider.tokens({ id_token: await provider.idToken({ nonce: nonce() }) })
    );
    const { answer, session } = await startBrowserFlow(world);
    const failed = rejectsWith("id_token_invalid", () => session, "nonce");
    assertEquals(await open(answer({ code: CODE })), [200, "Your answer has arrived"]);
    await failed;
  });
}

Deno.test("browser attack: without openid in the scope, an ID token with a nonce is refused", async () => {
  await using world = await scriptedProviderWorld();
  const { provider } = world;
  provider.discovery = { authorization_endpoint: `${provider.issuer}/authorize` };
  provider.script.token.push(async () =>
    await provider.tokens({ id_token: await provider.idToken({ nonce: "n".repeat(43) }) })
  );
  const { prompt, answer, session } = await startBrowserFlow(world, { scope: "email" });
  assertEquals(new URL(prompt.url).searchParams.has("nonce"), false);
  const failed = rejectsWith("id_token_invalid", () => session);
  await open(answer({ code: CODE }));
  await failed;
});

Deno.test("browser attack: an error with markup, and the state in it, shows none of it", async () => {
  await using world = await oidcProviderWorld();
  const { state, answer, session } = await startBrowserFlow(world);
  const address = answer({
    error: "<script>alert(1)</script>",
    error_description: `<img src=x onerror=alert(1)>\x1b[2J ${state} [click](javascript:alert(1))`,
    iss: world.provider.issuer,
  });
  const failed = rejectsWith("provider_refused", () => session);
  const response = await fetch(address);
  const html = await response.text();
  assertEquals(/alert|onerror|javascript:/.test(html), false);
  const error = await failed;
  assertEquals(error.oauthError, "an error without a proper name");
  assertEquals(/\p{Cc}/u.test(error.message), false);
});

Deno.test("browser attack: a provider's fault in the browser is no refusal", async () => {
  await using world = await oidcProviderWorld();
  const { answer, session } = await startBrowserFlow(world);
  const failed = rejectsWith("provider_unavailable", () => session);
  await open(answer({ error: "temporarily_unavailable", iss: world.provider.issuer }));
  await failed;
});

Deno.test("browser attack: a browser that asks twice is told the same, and the code is used once", async () => {
  await using world = await oidcProviderWorld();
  const { prompt, session } = await startBrowserFlow(world);
  const { url } = await world.provider.follow(prompt.url, { stopAt: prompt.redirectUri });
  const gate = Promise.withResolvers<void>();
  world.provider.beforeAnswer = async ({ path }) => {
    if (path === "/token") await gate.promise;
  };
  const pages = [open(url), open(url), open(url)];
  await rejectsWith("address_refused", () =>
    // once a browser's answer is there
    Promise.resolve().then(async () => {
      for (;;) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        if (world.provider.requests.some(({ path }) => path === "/token")) break;
      }
      await prompt.submit(url);
    }), "counts once");
  gate.resolve();
  for (const page of await Promise.all(pages)) assertEquals(page, [200, "Your answer has arrived"]);
  await (await session).close();
  assertEquals(world.provider.requests.filter(({ path }) => path === "/token").length, 1);
});

const RESERVED = [
  "state",
  "code_challenge",
  "redirect_uri",
  "client_id",
  "Scope ",
  "nonce",
  "request",
];

for (const name of RESERVED) {
  Deno.test(`browser attack: the parameter ${name.trim()} cannot be overridden`, async () => {
    await using world = await oidcProviderWorld();
    const options = { authorizationParameters: { [name]: "mine" } };
    const reserved = name.trim().toLowerCase();
    await rejectsWith("invalid_options", () => startBrowserFlow(world, options), reserved);
    assertEquals(world.provider.requests, []);
  });
}

for (
  const [what, parameters] of [
    ["a URLSearchParams", new URLSearchParams({ acr_values: "mfa" })],
    ["a Map", new Map([["acr_values", "mfa"]])],
    ["a list", ["acr_values"]],
    ["an object with inherited names", Object.create({ acr_values: "mfa" })],
    ["a name with a blank", { " acr_values": "mfa" }],
    ["an empty name", { "": "mfa" }],
    ["a name with an invisible character", { "state\u200b": "mine" }],
    ["a number", { max_age: 5 }],
  ] as const
) {
  Deno.test(`browser attack: ${what} as parameters is refused, not dropped`, async () => {
    await using world = await oidcProviderWorld();
    const options = { authorizationParameters: parameters as unknown as Record<string, string> };
    await rejectsWith(
      "invalid_options",
      () => startBrowserFlow(world, options),
      "authorizationParameters",
    );
    assertEquals(world.provider.requests, []);
  });
}

for (const token_type of ["mac", "DPoP bearer", "bearer;mac", "N_A", 5]) {
  Deno.test(`browser attack: tokens of the type ${token_type} are refused`, async () => {
    await using world = await scriptedProviderWorld();
    const { provider } = world;
    provider.discovery = { authorization_endpoint: `${provider.issuer}/authorize` };
    provider.script.token.push(() => json({ access_token: "a".repeat(20), token_type }));
    const { answer, session } = await startBrowserFlow(world);
    const failed = rejectsWith("provider_invalid", () => session);
    await open(answer({ code: CODE }));
    assertStringIncludes((await failed).message, "protocol");
  });
}

Deno.test("browser attack: every request has secrets of its own", async () => {
  await using world = await oidcProviderWorld();
  const seen = new Set<string>();
  for (let time = 0; time < 3; time++) {
    const stop = new AbortController();
    const { prompt, session } = await startBrowserFlow(world, { signal: stop.signal });
    const { searchParams } = new URL(prompt.url);
    for (const name of ["state", "nonce", "code_challenge"]) seen.add(searchParams.get(name)!);
    stop.abort();
    await session.catch(() => undefined);
  }
  assertEquals(seen.size, 9);
});
