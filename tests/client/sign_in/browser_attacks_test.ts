import { assertEquals } from "@std/assert";
import type { OidcIdentity } from "../../../client/options/resolve_identity.ts";
import { resolveOptions } from "../../../client/options/resolve_options.ts";
import type { SignInPage } from "../../../client/prompt/prompt.ts";
import { openProvider } from "../../../client/provider/oidc_provider.ts";
import { signInByBrowser } from "../../../client/sign_in/browser.ts";
import { startBrowserFlow, type StartedFlow } from "../../support/browser_flow.ts";
import { json } from "../../support/http_server.ts";
import { type RealWorld, scriptedProviderWorld, test } from "../../support/provider_world.ts";
import { type AnyErrorCode, rejectsWith } from "../../support/rejects_with.ts";
import type { ScriptedProvider } from "../../support/scripted_provider.ts";

const CODE = "attackers-code-4f1c9b";
const ARRIVED = [200, "Your answer has arrived"];

/** Opens an address as the browser would; gives the status and the title of the page. */
async function open(address: string): Promise<[status: number, title: string]> {
  const response = await fetch(address);
  const text = await response.text();
  assertEquals(response.headers.get("cache-control"), "no-store");
  return [response.status, /<title>(.*?)<\/title>/.exec(text)?.[1] ?? ""];
}

/** The person signs in after all. */
async function goesOn(world: RealWorld, { prompt, session }: StartedFlow) {
  assertEquals((await world.provider.follow(prompt.url)).title, ARRIVED[1]);
  await using signedIn = await session;
  assertEquals((await signedIn.status()).signedIn, true);
}

/** Addresses that are no answer, by their parameters after a sign-in's state and an earlier one's. */
const STRAYS: ((state: string, earlier: string) => string)[] = [
  () => `code=${CODE}&state=${"A".repeat(43)}`,
  (state) => `code=${CODE}&state=${state.slice(0, -1)}`,
  (state) => `code=${CODE}&state=${state}A`,
  () => `code=${CODE}`,
  () => `code=${CODE}&state=`,
  (state) => `code=${CODE}&state=${state}&state=${state}`,
  (state) => `code=${CODE}&code=other&state=${state}`,
  () => "error=access_denied",
  () => "error=access_denied&state=x",
  (state) => `state=${state}`,
  () => "",
  (_, earlier) => earlier,
];

/** What a person pastes in the address's place. */
const PASTES = [
  "",
  "SplxlOBeZQQYbYS6WxSbIA",
  "https://login.example.com/authorize?client_id=1&state=a",
  "http://127.0.0.1/callback?code=abcdefgh",
  "javascript:alert(1)?code=abcdefgh&state=a",
  "http://127.0.0.1/callback?code=abcdefgh&state=other",
];

test.real("browser attack: what is no answer of this sign-in changes nothing", async (world) => {
  const earlier = await startBrowserFlow(world);
  const { redirectUri } = earlier.prompt;
  const old = await world.provider.follow(earlier.prompt.url, { stopAt: redirectUri });
  assertEquals(await open(old.url), ARRIVED);
  await (await earlier.session).clear();
  const started = await startBrowserFlow(world);
  const { prompt, state } = started;
  for (const parameters of STRAYS) {
    const query = parameters(state, new URL(old.url).search.slice(1));
    const address = `${prompt.redirectUri}?${query}`;
    assertEquals(await open(address), [400, "This did not sign you in"], query);
    await rejectsWith("address_refused", () => prompt.submit(address));
  }
  for (const address of PASTES) {
    const { message } = await rejectsWith("address_refused", () => prompt.submit(address));
    assertEquals(address !== "" && message.includes(address), false);
  }
  await goesOn(world, started);
});

test.real("browser attack: a thief of code and state gets no token for them (PKCE)", async (world) => {
  const { prompt, session } = await startBrowserFlow(world);
  const { redirectUri } = prompt;
  const { url } = await world.provider.follow(prompt.url, { stopAt: redirectUri });
  const { issuer, clientId } = world.provider;
  for (const code_verifier of [undefined, "v".repeat(43)]) {
    const body = new URLSearchParams({
      grant_type: "authorization_code",
      client_id: clientId,
      redirect_uri: redirectUri,
      code: new URL(url).searchParams.get("code")!,
      ...(code_verifier && { code_verifier }),
    });
    const response = await fetch(`${issuer}/token`, { method: "POST", body });
    assertEquals([response.status, (await response.json()).error], [400, "invalid_grant"]);
  }
  await prompt.submit(url);
  await session.then((signedIn) => signedIn.close(), () => undefined); // as the provider likes
});

test.real("browser attack: the code of another sign-in gets no token", async (world) => {
  const attacker = await startBrowserFlow(world);
  const stop = { stopAt: attacker.prompt.redirectUri, login: "mallory@example.com" };
  const stolen = await world.provider.follow(attacker.prompt.url, stop);
  const victim = await startBrowserFlow(world, { profile: "victim" });
  const failed = rejectsWith("provider_refused", () => victim.session);
  const code = new URL(stolen.url).searchParams.get("code")!;
  await victim.prompt.submit(victim.answer({ code, iss: world.provider.issuer }));
  assertEquals((await failed).oauthError, "invalid_grant");
  await attacker.prompt.submit(stolen.url);
  await attacker.session.catch(() => undefined); // as the provider likes
});

const HOSTILE = "<script>alert(1)</script>";
const MARKUP = "<img src=x onerror=alert(1)>\x1b[2J [click](javascript:alert(1))";

/** Answers of a browser that end the sign-in. The state may be in them. */
const ANSWERS: [
  what: string,
  parameters: (iss: string, state: string) => Record<string, string>,
  ...end: [code: AnyErrorCode, ...words: string[]],
][] = [
  [
    "of another provider (mix-up)",
    () => ({ code: CODE, iss: "https://evil.example.com" }),
    ...["provider_invalid", "iss"] as const,
  ],
  ["without the issuer that the provider sends", () => ({ code: CODE }), "provider_invalid", "iss"],
  [
    "of a provider that is away",
    (iss) => ({ error: "temporarily_unavailable", iss }),
    "provider_unavailable",
  ],
  [
    "with markup",
    (iss, state) => ({ error: HOSTILE, error_description: `${MARKUP} ${state} ${MARKUP}`, iss }),
    ...["provider_refused", "an error without a proper name"] as const,
  ],
];

for (const [what, parameters, code, ...words] of ANSWERS) {
  test.real(`browser attack: an answer ${what} gets no code to any, and shows nothing`, async (world) => {
    const { answer, state, session } = await startBrowserFlow(world);
    const failed = rejectsWith(code, () => session, ...words);
    world.provider.reset();
    const response = await fetch(answer(parameters(world.provider.issuer, state)));
    assertEquals(/alert|onerror|javascript:/.test(await response.text()), false);
    assertEquals(/\p{Cc}/u.test((await failed).message), false);
    assertEquals(world.provider.requests, []);
  });
}

/** A provider of a browser flow whose token answer is spoilt. */
async function spoilt(spoil: (provider: ScriptedProvider) => Promise<Response> | Response) {
  const world = await scriptedProviderWorld();
  const { provider } = world;
  provider.discovery = { authorization_endpoint: `${provider.issuer}/authorize` };
  provider.script.token.push(() => spoil(provider));
  return world;
}

const withNonce = (nonce: string | undefined) => async (provider: ScriptedProvider) =>
  provider.tokens({ id_token: await provider.idToken({ nonce }) });
const ofType = (token_type: unknown) => () => json({ access_token: "a".repeat(20), token_type });

type Spoilt = [what: string, spoil: Parameters<typeof spoilt>[0], scope: string];
const ANOTHER = withNonce("n".repeat(43));

const TOKENS: [...Spoilt, code: AnyErrorCode, word: string][] = [
  ["the nonce of another sign-in", ANOTHER, "openid", "id_token_invalid", "nonce"],
  ["no nonce", withNonce(undefined), "openid", "id_token_invalid", "nonce"],
  // Nobody asked for an ID token, and for no nonce.
  ["a nonce", ANOTHER, "email", "id_token_invalid", "ID token"],
  ...["mac", "DPoP bearer", "bearer;mac", 5].map((type): typeof TOKENS[number] => {
    return [`the type ${type}`, ofType(type), "openid", "provider_invalid", "protocol"];
  }),
];

for (const [what, spoil, scope, code, word] of TOKENS) {
  Deno.test(`browser attack: tokens with ${what}, for the scope ${scope}, are refused`, async () => {
    await using world = await spoilt(spoil);
    const { prompt, answer, session } = await startBrowserFlow(world, { scope });
    assertEquals(new URL(prompt.url).searchParams.has("nonce"), scope === "openid");
    const failed = rejectsWith(code, () => session, word);
    assertEquals(await open(answer({ code: CODE })), ARRIVED);
    await failed;
  });
}

test.real("browser attack: a browser that asks twice is told the same, and the code is used once", async (world) => {
  const { prompt, session } = await startBrowserFlow(world);
  const { url } = await world.provider.follow(prompt.url, { stopAt: prompt.redirectUri });
  const [arrived, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  world.provider.beforeAnswer = async ({ path }) => {
    if (path !== "/token") return;
    arrived.resolve();
    await gate.promise;
  };
  const pages = [open(url), open(url), open(url)];
  await arrived.promise;
  await rejectsWith("address_refused", () => prompt.submit(url), "used already");
  gate.resolve();
  for (const page of await Promise.all(pages)) assertEquals(page, ARRIVED);
  await (await session).close();
  assertEquals(world.provider.requests.filter(({ path }) => path === "/token").length, 1);
});

const RESERVED = ["state", "code_challenge", "redirect_uri", "client_id", "Scope ", "nonce"];
const BAD_PARAMETERS: unknown[] = [
  new URLSearchParams({ acr_values: "mfa" }),
  new Map([["acr_values", "mfa"]]),
  ["acr_values"],
  Object.create({ acr_values: "mfa" }),
  { " acr_values": "mfa" },
  { "": "mfa" },
  { "state\u200b": "mine" },
  { max_age: 5 },
];

test.real("browser attack: no parameter overrides the request's, and none is dropped", async (world) => {
  const refused = (parameters: unknown, word: string) => {
    const authorizationParameters = parameters as Record<string, string>;
    const run = () => startBrowserFlow(world, { authorizationParameters });
    return rejectsWith("invalid_options", run, word);
  };
  for (const name of [...RESERVED, "request"]) {
    await refused({ [name]: "mine" }, name.trim().toLowerCase());
  }
  for (const parameters of BAD_PARAMETERS) await refused(parameters, "authorizationParameters");
  assertEquals(world.provider.requests, []);
});

Deno.test("browser attack: a second browser ends the sign-in, where the system tells nothing", {
  permissions: { net: true, env: true },
}, async () => {
  await using world = await scriptedProviderWorld();
  const { issuer, clientId } = world.provider;
  world.provider.discovery = { authorization_endpoint: `${issuer}/authorize` };
  const { identity, runtime } = resolveOptions(
    { issuer, clientId, interactive: true },
    "sign in",
    false,
  );
  const provider = await openProvider(identity as OidcIdentity, runtime);
  const show = async ({ answer }: SignInPage) => {
    for (let browser = 0; browser < 2; browser++) {
      const response = await fetch(answer!.startUrl!, { method: "POST", redirect: "manual" });
      await response.body?.cancel();
    }
  };
  const { signal } = new AbortController();
  const look = () => Promise.resolve();
  const signIn = () => signInByBrowser(provider, { runtime, ask: {}, signal, show, look });
  await rejectsWith("authorization_denied", signIn, "two browsers", "openBrowser: false");
});
