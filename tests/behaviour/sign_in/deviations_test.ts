import { json } from "../../support/http_server.ts";
import { oauthError } from "../../support/scripted_provider.ts";
import {
  answerWith,
  oidcProviderWorld,
  renew,
  scriptedProviderWorld,
  type ScriptedWorld,
  test,
} from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { assertEquals } from "@std/assert";

/** Tokens' lifetime where the provider states none that can be. */
const HOUR = 3600;

/** In how many seconds the stored token ends. */
function storedSeconds(world: ScriptedWorld): number {
  return (Date.parse(world.stored().expires_at!) - world.clock.now()) / 1000;
}

const DEVICE_ANSWERS: [what: string, members: Record<string, unknown>, waitMs: number][] = [
  ["interval 0", { interval: 0 }, 5000],
  ['interval "7"', { interval: "7" }, 7000],
  ["interval 2.5", { interval: 2.5 }, 2500],
  ["interval null", { interval: null }, 5000],
  ["no interval", { interval: undefined }, 5000],
  ['interval "soon"', { interval: "soon" }, 5000],
  ["no expires_in", { expires_in: undefined }, 1000],
  ['expires_in "600"', { expires_in: "600" }, 1000],
  ["expires_in -1", { expires_in: -1 }, 1000],
  ["verification_uri_complete null", { verification_uri_complete: null }, 1000],
  ["an empty error", { error: "", error_description: "" }, 1000],
  ["members that nobody knows", { message: "To sign in, …", x: { y: [1] } }, 1000],
];

for (const [what, members, waitMs] of DEVICE_ANSWERS) {
  test(`deviation: device answer with ${what}: signs in after ${waitMs} ms`, async (world) => {
    world.provider.script.device.push(() => world.provider.device(members));
    await world.signIn();
    assertEquals(world.clock.delays, [waitMs]);
  });
}

test("deviation: verification_url instead of verification_uri: is shown", async (world) => {
  const page = "https://www.google.com/device";
  const none = { verification_uri: undefined, verification_uri_complete: undefined };
  for (const more of [none, {}]) {
    const members = { ...more, verification_url: page };
    world.provider.script.device.push(() => world.provider.device(members));
  }
  for (const profile of ["one", "two"]) await world.signIn({ profile });
  const own = `${world.provider.issuer}/activate`; // which wins over the other name
  assertEquals(world.codes.map(({ verificationUri }) => verificationUri), [page, own]);
});

type TokenAnswer = [what: string, members: Record<string, unknown>, seconds: number];

const TOKEN_ANSWERS: TokenAnswer[] = [
  ["no expires_in", { expires_in: undefined }, HOUR],
  ['expires_in "1800"', { expires_in: "1800" }, 1800],
  ["expires_in 1800.5", { expires_in: 1800.5 }, 1800.5],
  ["expires_in -1800", { expires_in: -1800 }, HOUR],
  ["expires_in 0", { expires_in: 0 }, HOUR],
  ['expires_in "never"', { expires_in: "never" }, HOUR],
  ["expires_in 1e300", { expires_in: 1e300 }, 1e9],
  ["no token_type", { token_type: undefined, expires_in: 1800 }, 1800],
  ["token_type null", { token_type: null, expires_in: 1800 }, 1800],
  ["token_type BEARER", { token_type: "BEARER", expires_in: 1800 }, 1800],
  ["token_type BearerToken", { token_type: "BearerToken", expires_in: 1800 }, 1800],
  ["token_type bearer_token", { token_type: "bearer_token", expires_in: 1800 }, 1800],
  ["an error of null", { error: null, error_description: null, expires_in: 1800 }, 1800],
  ["id_token null", { id_token: null, expires_in: 1800 }, 1800],
  ["scope null", { scope: null, expires_in: 1800 }, 1800],
  ["scope 5", { scope: 5, expires_in: 1800 }, 1800],
  ["a scope of an object", { scope: {}, expires_in: 1800 }, 1800],
];

for (const [what, members, seconds] of TOKEN_ANSWERS) {
  test(`deviation: token answer with ${what}: used for ${seconds} s`, async (world) => {
    answerWith(world, members);
    const session = await world.signIn();
    assertEquals(storedSeconds(world), seconds, "at the sign-in");
    answerWith(world, members);
    assertEquals(await renew(session), world.stored().access_token);
    assertEquals(storedSeconds(world), seconds, "at the refresh");
    assertEquals(world.codes.length, 1);
  });
}

test("deviation: token answer with a list of scopes: they are the granted ones", async (world) => {
  answerWith(world, { scope: ["openid", "email"] });
  await world.signIn();
  assertEquals(world.stored().granted_scope, "openid email");
});

for (const refresh_token of [undefined, null, ""]) {
  const what = JSON.stringify(refresh_token) ?? "left out";
  test.signedIn(`deviation: refresh answer with refresh_token ${what}: the old one stays`, async ({ session, ...world }) => {
    const before = world.stored();
    answerWith(world, { refresh_token });
    assertEquals(await renew(session), world.stored().access_token);
    assertEquals(world.stored().refresh_token, before.refresh_token);
    assertEquals(world.stored().access_token === before.access_token, false);
  });
}

const challenge = { "www-authenticate": 'Bearer error="authorization_pending"' };

/** Answers to a poll, and the waits in seconds until the sign-in works all the same. */
const POLLS: [what: string, answers: (() => Response)[], waits: number[]][] = [
  ...[200, 401, 403, 428, 429, 500].map((status): typeof POLLS[number] => [
    `authorization_pending with status ${status}`,
    [() => oauthError("authorization_pending", status, challenge)],
    [1, 1],
  ]),
  [
    "slow_down with a Retry-After that is shorter than the interval",
    [() => oauthError("slow_down", 400, { "retry-after": "2" })],
    [1, 6],
  ],
  ["temporarily_unavailable", [() => oauthError("temporarily_unavailable")], [1, 2]],
  ["a page of HTML", [() => new Response("<html>Sign in</html>", { status: 404 })], [1, 2]],
];

for (const [what, answers, waits] of POLLS) {
  test(`deviation: poll answered ${what}: waits ${waits} s`, async (world) => {
    world.provider.script.token.push(...answers);
    await world.signIn();
    assertEquals(world.clock.delays, waits.map((seconds) => seconds * 1000));
  });
}

const ENDS = {
  authorization_declined: "device_code_denied",
  access_denied: "device_code_denied",
  expired_token: "device_code_expired",
  bad_verification_code: "provider_refused",
  invalid_client: "provider_refused",
  unauthorized_client: "provider_refused",
  invalid_grant: "device_code_expired", // Keycloak, for a code that it does not know any more
  org_internal: "device_code_denied", // Google
} as const;

for (const [what, code] of Object.entries(ENDS)) {
  test(`deviation: poll answered ${what}, whatever the status: ${code}`, async (world) => {
    for (const status of [400, 200, 401]) {
      world.provider.script.token.push(() => oauthError(what, status, challenge));
      const error = await rejectsWith(code, () => world.signIn());
      assertEquals(error.oauthError, what);
    }
    assertEquals(world.clock.delays.length, 3); // each time at once
  });
}

test.signedIn("deviation: invalid_grant behind a 401 and a challenge: is a refused refresh", async ({ session, ...world }) => {
  world.provider.script.token.push(() => oauthError("invalid_grant", 401, challenge));
  await rejectsWith("login_required", () => renew(session));
  assertEquals(world.backend.get(world.key), undefined);
});

for (const path of ["/", "/realms/acme"]) {
  for (const slash of ["", "/"]) {
    Deno.test(`deviation: issuer at "${path}", given as "${path.replace(/\/$/, "")}${slash}"`, async () => {
      await using world = await oidcProviderWorld({ path });
      const issuer = world.provider.issuer.replace(/\/$/, "") + slash;
      const session = await world.signIn({ issuer });
      await renew(session);
      assertEquals((await session.status()).signedIn, true);
    });
  }
}

for (const requirePkce of [true, false]) {
  Deno.test(`deviation: PKCE on the device grant ${requirePkce ? "" : "not "}required`, async () => {
    await using world = await scriptedProviderWorld({ requirePkce });
    await world.signIn();
    const [, device, poll] = world.provider.requests;
    assertEquals(device?.form.code_challenge_method, requirePkce ? "S256" : undefined);
    assertEquals("code_verifier" in poll!.form, requirePkce);
  });
}

test("deviation: discovery with lists that are none: signs in", async (world) => {
  const names = ["scopes", "code_challenge_methods", "token_endpoint_auth_methods"];
  world.provider.discovery = Object.fromEntries(names.map((name) => [`${name}_supported`, {}]));
  await world.signIn({ clientSecret: "x9-Qwz7-Pk4-Lm2" });
});

test("deviation: discovery with status 201: is not taken for one", async (world) => {
  world.provider.script.discovery.push(() => json({ issuer: world.provider.issuer }, 201));
  await rejectsWith("provider_unavailable", () => world.signIn(), "201");
});

test("deviations: an ID token whose end is beyond all dates is stored, as the bearer too", async (world) => {
  answerWith(world, { id_token: await world.provider.idToken({ exp: 9e15 }) });
  const session = await world.signIn({ bearer: "id_token" });
  const { refresh_token, id_token } = world.stored();
  answerWith(world, { id_token: await world.provider.idToken({ exp: 9e15, x: 1 }) });
  await renew(session);
  assertEquals(world.stored().refresh_token === refresh_token, false);
  assertEquals(world.stored().id_token === id_token, false);
  assertEquals((await session.status()).expiresAt?.getUTCFullYear(), 9999);
});

const MOVED: [name: string, path: string, isUsed: boolean][] = [
  ["device_authorization_endpoint", "/device", true],
  ["token_endpoint", "/token", true],
  ["jwks_uri", "/jwks", true],
  ["pushed_authorization_request_endpoint", "/par", false],
];

for (const [name, path, isUsed] of MOVED) {
  for (const net of [["127.0.0.1", "localhost"], ["127.0.0.1"]]) {
    Deno.test(`deviation: ${name} on another host, where ${net} is granted`, {
      permissions: { net, env: true },
    }, async () => {
      await using world = await scriptedProviderWorld();
      const host = `localhost:${world.provider.port}`;
      world.provider.discovery = { [name]: `http://${host}${path}` };
      if (net.length === 2 || !isUsed) return void await renew(await world.signIn());
      const words = ["Cannot reach the provider", "--allow-net=", host];
      await rejectsWith("permission_required", () => world.signIn(), ...words);
      assertEquals(world.codes, []);
    });
  }
}
