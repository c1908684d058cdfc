import { createSession, type SessionOptions, startSignIn } from "../../../mod.ts";
import { browserOptions, startBrowserFlow } from "../../support/browser_flow.ts";
import { FakeKernel } from "../../support/fake_kernel.ts";
import { OwnStreams } from "../../support/own_streams.ts";
import {
  oidcProviderWorld,
  scriptedProviderWorld,
  type ScriptedWorld,
  test,
} from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { oauthError } from "../../support/scripted_provider.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { json } from "../../support/http_server.ts";
import { assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";

const DEFAULT = "openid profile email offline_access";

/** Lets the device endpoint take some scopes alone. Gives those that it is asked for. */
function choosy(world: ScriptedWorld, taken: string[] | undefined, stated?: string[]) {
  world.provider.discovery = { scopes_supported: stated };
  const asked: (string | null)[] = [];
  const answer = (_: Request, form: URLSearchParams) => {
    asked.push(form.get("scope"));
    const isTaken = form.get("scope")?.split(" ").every((scope) => taken?.includes(scope));
    return (isTaken ?? taken) ? world.provider.device() : oauthError("invalid_scope");
  };
  world.provider.script.device.push(answer, answer, answer, answer);
  return asked;
}

const ROWS: [what: string, taken: string[], stated: string[] | undefined, asked: unknown[]][] = [
  ["all", DEFAULT.split(" "), undefined, []],
  [
    "no offline_access, and states none",
    ["openid", "profile", "email"],
    undefined,
    ["openid profile email"],
  ],
  ["some, and states them", ["openid", "email"], ["email", "openid", "x"], ["openid email"]],
  ["no openid, as Spring does", [], ["openid"], ["openid", null]],
  [
    "offline_access without openid",
    ["offline_access"],
    ["openid", "offline_access"],
    ["openid offline_access", "offline_access"],
  ],
];

for (const [what, taken, stated, then] of ROWS) {
  test(`default scope: the device flow goes on where a provider takes ${what}`, async (world) => {
    const asked = choosy(world, taken, stated);
    await (await world.signIn()).close();
    assertEquals(asked, [DEFAULT, ...then]);
    assertEquals(world.codes.at(-1)!.scope, asked.at(-1) ?? "");
    // It is the sign-in of later sessions that name no scope either.
    await (await world.signIn({ interactive: false })).close();
  });
}

test("default scope: a provider that takes none is refused in the end, with what was sent", async (world) => {
  const asked = choosy(world, undefined);
  await rejectsWith("provider_refused", () => world.signIn(), 'asked for was "profile email"');
  assertEquals(asked, [DEFAULT, "openid profile email", "profile email"]);
});

for (const scope of [DEFAULT, "openid offline_access"]) {
  test(`default scope: "${scope}", which a person named, is never changed`, async (world) => {
    const asked = choosy(world, [], ["openid"]);
    const run = () => world.signIn({ scope });
    await rejectsWith("provider_refused", run, `asked for was "${scope}"`, "VM_OIDC_SCOPE");
    assertEquals(asked, [scope]);
  });
}

test("default scope: the browser is asked again with those that are left, after the end of its first link", async (world) => {
  const { provider } = world;
  provider.discovery = {
    authorization_endpoint: `${provider.issuer}/authorize`,
    scopes_supported: ["openid", "email"],
  };
  using streams = new OwnStreams();
  const link = async (count: number) => {
    for (;;) {
      const links = [...streams.written.stderr.matchAll(/http\S+\/authorize\?\S+/g)];
      if (links.length === count) return new URL(links.at(-1)![0]).searchParams;
      await new Promise((resolve) => setTimeout(resolve));
    }
  };
  const answer = async (link: URLSearchParams, parameters: Record<string, string>) => {
    const query = new URLSearchParams({ state: link.get("state")!, ...parameters });
    await (await fetch(`${link.get("redirect_uri")}?${query}`)).body?.cancel();
  };
  const { onAuthorizationUrl: _, ...options } = browserOptions(world);
  const session = createSession({ ...options, openBrowser: false });
  const first = await link(1);
  await answer(first, { error: "invalid_scope" });
  const second = await link(2);
  assertEquals([first, second].map((one) => one.get("scope")), [DEFAULT, "openid email"]);
  for (const secret of ["state", "nonce", "code_challenge"]) {
    assertNotEquals(first.get(secret), second.get(secret), secret);
  }
  provider.script.token.push(async () =>
    await provider.tokens({ id_token: await provider.idToken({ nonce: second.get("nonce") }) })
  );
  await answer(second, { code: "a-code" });
  await (await session).close();
  const { stderr } = streams.written;
  assertMatch(stderr, /The scope asked for|goes on with the scope "openid email"/);
  assertEquals(stderr.match(/the sign-in was refused/g)?.length, 1);
  assertMatch(stderr, /Signed in as analyst@example\.com/);
});

test("default scope: a sign-in in two steps has one link, and its error tells the scope", async (world) => {
  const { provider } = world;
  provider.discovery = {
    authorization_endpoint: `${provider.issuer}/authorize`,
    scopes_supported: ["openid", "email"],
  };
  using _kernel = new FakeKernel();
  const { onAuthorizationUrl: _, ...options } = browserOptions(world);
  await using signIn = await startSignIn(options);
  const state = new URL(signIn.url!).searchParams.get("state")!;
  const address = `?${new URLSearchParams({ state, error: "invalid_scope" })}`;
  await rejectsWith("provider_refused", () => signIn.finish(address), DEFAULT, "VM_OIDC_SCOPE");
});

// The device flow is switched off, for everybody or for this client: the browser takes its place.
Deno.test("browser instead: auto signs in where the provider offers no device flow", async () => {
  await using world = await oidcProviderWorld({
    configure(config) {
      config.features!.deviceFlow = { enabled: false };
      config.clients![0]!.grant_types = ["authorization_code", "refresh_token"];
    },
  });
  const events: { type: string }[] = [];
  const { prompt, session } = await startBrowserFlow(world, {
    flow: "auto",
    onDeviceCode() {}, // which a caller may give beside the other one
    onEvent: (event) => void events.push(event),
  });
  assertEquals((await world.provider.follow(prompt.url)).title, "Your answer has arrived");
  await (await session).close();
  const told = events.map(({ type }) => type).filter((type) => type !== "provider_answered");
  assertEquals(told.slice(0, 3), ["sign_in_started", "flow_changed", "link_shown"]);
  assertEquals(told.slice(3), ["sign_in_approved", "stored", "signed_in"]);
  assertNoSecret(events);
});

for (const error of ["unauthorized_client", "unsupported_grant_type", "401 without a word"]) {
  test(`browser instead: auto shows the link where ${error} refuses this client`, async (world) => {
    const { provider } = world;
    provider.discovery = { authorization_endpoint: `${provider.issuer}/authorize` };
    const isSilent = error.startsWith("401");
    provider.script.device.push(() =>
      isSilent ? new Response(null, { status: 401 }) : oauthError(error)
    );
    const stop = new AbortController();
    const options = { flow: "auto", signal: stop.signal } as const;
    const { prompt, session } = await startBrowserFlow(world, options);
    assertStringIncludes(prompt.url, "/authorize?");
    stop.abort(new Error("enough"));
    assertEquals((await session.catch((error) => error)).message, "enough");
  });
}

Deno.test("browser instead: auto shows the link where oidc-provider refuses the grant to this client", async () => {
  await using world = await oidcProviderWorld({
    configure(config) {
      config.clients![0]!.grant_types = ["authorization_code", "refresh_token"];
    },
  });
  const { prompt, session } = await startBrowserFlow(world, { flow: "auto" });
  assertEquals((await world.provider.follow(prompt.url)).title, "Your answer has arrived");
  await (await session).close();
  const byDevice = () => world.signIn({ flow: "device", profile: "other" });
  const error = await rejectsWith("provider_refused", byDevice, 'flow: "browser"');
  assertEquals([error.oauthError, error.kind], ["invalid_request", "flow"]);
});

/** Refusals of the client itself, which no other flow would help. */
const OF_CLIENT: [what: string, answer: () => Response, clientSecret?: string][] = [
  ["a client id that Entra does not know", () => {
    const error_description = "AADSTS700016: Application with identifier 'x' was not found";
    return json({ error: "unauthorized_client", error_description }, 400);
  }],
  ["Keycloak's words", () => {
    const error_description = "Invalid client or Invalid client credentials";
    return json({ error: "unauthorized_client", error_description }, 401);
  }, "a-wrong-secret-x9"],
  [
    "zitadel's word for a wrong secret",
    () => json({ error: "unauthorized_client" }, 401),
    "a-wrong-secret-x9",
  ],
  ["a 401 without a word to a proof", () => new Response(null, { status: 401 }), "a-secret-x9"],
  ["invalid_client", () => oauthError("invalid_client", 401)],
];

for (const [what, answer, clientSecret] of OF_CLIENT) {
  test(`browser instead: not after ${what}: the flow stays`, async (world) => {
    const options = { ...offerBrowser(world), ...(clientSecret && { clientSecret }) };
    world.provider.script.device.push(answer, answer);
    const error = await rejectsWith("provider_refused", () => world.signIn(options));
    assertEquals(error.kind, "client");
  });
}

test("browser instead: a caller that shows codes only keeps the first error", async (world) => {
  world.provider.discovery = { device_authorization_endpoint: undefined };
  const { flow: _, ...options } = browserOptions(world);
  const run = () => createSession({ ...options, onDeviceCode: () => {} });
  await rejectsWith("device_flow_unsupported", run, "onAuthorizationUrl");
});

/** Offers the browser flow, too, which nobody is to be asked by. */
function offerBrowser({ provider }: ScriptedWorld): SessionOptions {
  provider.discovery = { authorization_endpoint: `${provider.issuer}/authorize` };
  return {
    onAuthorizationUrl() {
      throw new Error("the browser was asked");
    },
  };
}

for (const flow of [undefined, "auto", "device"] as const) {
  test(`flow: ${flow} is the device flow where the provider has it`, async (world) => {
    await world.signIn({ ...offerBrowser(world), ...(flow && { flow }) });
    assertEquals(world.codes.length, 1);
  });
}

test("flow: device never turns to the browser, nor auto after a refusal of another kind", async (world) => {
  const more = offerBrowser(world);
  const { script } = world.provider;
  for (const error of ["unauthorized_client", "unsupported_grant_type"]) {
    script.device.push(() => oauthError(error));
    await rejectsWith("provider_refused", () => world.signIn({ ...more, flow: "device" }), error);
  }
  script.device.push(() => oauthError("invalid_scope"));
  const named = () => world.signIn({ ...more, scope: "openid" });
  await rejectsWith("provider_refused", named, "invalid_scope");
});

Deno.test("flow: a person is told of the scope that is left out, unless the program shows all", async () => {
  for (const isShownByCaller of [false, true]) {
    await using world = await scriptedProviderWorld();
    const { onDeviceCode, ...options } = world.options;
    using streams = new OwnStreams();
    world.provider.script.device.push(() => oauthError("invalid_scope"));
    await createSession({ ...options, ...(isShownByCaller && { onDeviceCode }) });
    assertEquals(streams.written.stderr.includes(" goes on with "), !isShownByCaller);
  }
});
