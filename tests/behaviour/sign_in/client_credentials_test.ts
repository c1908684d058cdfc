import { assert, assertEquals } from "@std/assert";
import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import type { OidcCredentials } from "../../../backends/oidc_credentials_backend.ts";
import { createSession } from "../../../client/create_session.ts";
import type { AuthEvent } from "../../../client/auth_event.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { CLIENT_SECRET, clientKeyOf, clientWorld, jobOptions } from "../../support/client_world.ts";
import { dpopProviderWorld } from "../../support/dpop_provider_world.ts";
import { hang, json } from "../../support/http_server.ts";
import { scriptedProviderWorld } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { oauthError } from "../../support/scripted_provider.ts";

const HOUR = 3600_000;
const SECRET = { clientSecret: CLIENT_SECRET };

function tokenForms(world: { provider: { requests: { path: string; form: unknown }[] } }) {
  return world.provider.requests.filter(({ path }) => path === "/token")
    .map(({ form }) => form as Record<string, string>);
}

for (const method of ["client_secret_basic", "client_secret_post"] as const) {
  Deno.test(`client_credentials: by ${method}, the client gets a token that the API takes`, async () => {
    await using world = await clientWorld({ method });
    await using session = await createSession(jobOptions(world, SECRET));
    assert(await world.provider.isActive(await session.accessToken()));
    const response = await session.fetch("ping");
    await response.body?.cancel();
    await response.body?.cancel();
    assertEquals(response.status, 200);
    const [form, ...more] = tokenForms(world);
    assertEquals([form!.grant_type, form!.scope, more], ["client_credentials", undefined, []]);
    assertEquals(world.codes, []);
  });
}

Deno.test("client_credentials: the token is stored under a key of its own, without a secret", async () => {
  await using world = await clientWorld();
  await createSession(jobOptions(world, SECRET));
  assertEquals(await Array.fromAsync(world.backend.list()), [clientKeyOf(world)]);
  const entry = world.backend.get(clientKeyOf(world))!;
  assertEquals(entry.refresh_token, null);
  assertEquals(entry.id_token, null);
  assertEquals(JSON.stringify(entry).includes("secret"), false);
  await createSession({ ...world.options, ...SECRET }); // a person's sign-in beside it
  assertEquals((await Array.fromAsync(world.backend.list())).length, 2);
  assertEquals(world.codes.length, 1);
});

Deno.test("client_credentials: a stored token serves without a request, and an ended one is renewed", async () => {
  await using world = await clientWorld();
  const options = jobOptions(world, SECRET);
  const first = await (await createSession(options)).accessToken();
  const count = world.provider.requests.length;
  assertEquals(await (await createSession(options)).accessToken(), first);
  assertEquals(world.provider.requests.length, count);
  world.clock.advance(HOUR);
  const session = await createSession({ ...options, interactive: false });
  const second = await session.accessToken();
  assert(second !== first);
  world.clock.advance(HOUR);
  assert(await session.accessToken() !== second);
  assertEquals(tokenForms(world).length, 3);
});

Deno.test("client_credentials: scope and audience are asked for, and another scope is another token", async () => {
  await using world = await scriptedProviderWorld();
  const options = jobOptions(world, { ...SECRET, audience: "api", scope: "read write" });
  await createSession(options);
  await createSession({ ...options, scope: "read" });
  await createSession({ ...options, scope: "admin" });
  assertEquals(
    tokenForms(world).map(({ scope, audience }) => [scope, audience]),
    [["read write", "api"], ["admin", "api"]],
  );
});

Deno.test("client_credentials: a 401 of the API brings one new token, and one retry", async () => {
  await using world = await clientWorld();
  await using session = await createSession(jobOptions(world, SECRET));
  const first = await session.accessToken();
  world.provider.expireAccessTokens();
  const response = await session.fetch("ping");
  await response.body?.cancel();
  assertEquals(response.status, 200);
  assert(await session.accessToken() !== first);
  assertEquals(tokenForms(world).length, 2);
});

Deno.test("client_credentials: calls of one process join in one request", async () => {
  await using world = await clientWorld();
  const options = jobOptions(world, SECRET);
  const sessions = await Promise.all(Array.from({ length: 8 }, () => createSession(options)));
  const tokens = await Promise.all(sessions.map((session) => session.accessToken()));
  assertEquals(new Set(tokens).size, 1);
  assertEquals(tokenForms(world).length, 1);
});

Deno.test("client_credentials: the client is who is signed in", async () => {
  await using world = await clientWorld();
  await using session = await createSession(jobOptions(world, SECRET));
  const { subject, flow, signedIn, refreshable, scope } = await session.status();
  assertEquals(
    { subject, flow, signedIn, refreshable, scope },
    {
      subject: world.provider.clientId,
      flow: "client_credentials",
      signedIn: true,
      refreshable: true,
      scope: "",
    },
  );
  assertEquals(session.flow, "client_credentials");
  for (const value of [session, await session.status()]) assertNoSecret(value);
});

Deno.test("client_credentials: clear removes and revokes the client's token, and no person's", async () => {
  await using world = await clientWorld();
  const person = await createSession({ ...world.options, ...SECRET });
  await using session = await createSession(jobOptions(world, SECRET));
  const token = await session.accessToken();
  const { keys, revocation } = await session.clear({ revoke: true });
  assertEquals([keys, revocation], [[clientKeyOf(world)], "revoked"]);
  assertEquals(await world.provider.isActive(token), false);
  assertEquals((await session.status()).signedIn, false);
  assert(await world.provider.isActive(await person.accessToken()));
  assertEquals(await Array.fromAsync(world.backend.list()), [world.key]);
});

Deno.test("client_credentials: with DPoP, the token is bound, and renewed with the same key", async () => {
  await using world = await dpopProviderWorld({ nonce: true });
  await using scripted = await scriptedProviderWorld({
    discovery: { dpop_signing_alg_values_supported: ["ES256"] },
  });
  assert(world.provider.issuer !== scripted.provider.issuer);
  const proofs: (string | null)[] = [];
  const answer = async (request: Request) => {
    proofs.push(request.headers.get("dpop"));
    return await scripted.provider.tokens({
      token_type: "DPoP",
      refresh_token: undefined,
      id_token: undefined,
    });
  };
  scripted.provider.script.token.push(answer, answer);
  const options = jobOptions(scripted, { ...SECRET, dpop: true });
  await using session = await createSession(options);
  const headers = await session.headers({ url: `${scripted.api.apiHost}ping` });
  assertEquals(headers.get("authorization")?.startsWith("DPoP "), true);
  assertEquals(headers.has("dpop"), true);
  scripted.clock.advance(HOUR);
  await session.accessToken();
  const keys = proofs.map((proof) => JSON.parse(atob(proof!.split(".")[0]!)).jwk.x);
  assertEquals(keys.length, 2);
  assertEquals(keys[0], keys[1]);
});

Deno.test("client_credentials: a refusal names the client, and what to look at", async () => {
  await using world = await clientWorld();
  const error = await rejectsWith(
    "provider_refused",
    () => createSession(jobOptions(world, { clientSecret: "a-wrong-secret" })),
    "the provider answered",
    "invalid_client",
    "clientSecret (VM_OIDC_CLIENT_SECRET",
  );
  assertEquals(error.oauthError, "invalid_client");
  assertNoSecret(error, ["a-wrong-secret"]);
});

for (
  const [code, ...words] of [
    ["unauthorized_client", "client credentials grant"],
    ["unsupported_grant_type", "client credentials grant"],
    ["invalid_scope", "VM_OIDC_SCOPE", ".default"],
    ["invalid_grant", "clientSecret (VM_OIDC_CLIENT_SECRET"],
    ["access_denied", "allowed to use this API"],
    ["login_required", "the provider answered"],
  ] as const
) {
  Deno.test(`client_credentials: ${code} is provider_refused, never login_required`, async () => {
    await using world = await scriptedProviderWorld();
    world.provider.script.token.push(() => oauthError(code));
    const run = () => createSession(jobOptions(world, SECRET));
    const error = await rejectsWith("provider_refused", run, ...words);
    assertEquals(error.oauthError, code);
    assertEquals(await Array.fromAsync(world.backend.list()), []);
  });
}

Deno.test("client_credentials: a client that is not enabled is told so by a real provider", async () => {
  await using world = await clientWorld({ grants: ["refresh_token"] });
  const run = () => createSession(jobOptions(world, SECRET));
  await rejectsWith("provider_refused", run, "not allowed for this client", "credentials grant");
});

Deno.test("client_credentials: without a secret, key or assertion nothing is sent", async () => {
  await using world = await clientWorld();
  const run = () => createSession(jobOptions(world));
  await rejectsWith("client_auth_unusable", run, "clientSecret", "VM_OIDC_CLIENT_KEY_FILE");
  assertEquals(tokenForms(world), []);
});

Deno.test("client_credentials: tokens of a person in the answer are dropped", async () => {
  await using world = await scriptedProviderWorld();
  await createSession(jobOptions(world, SECRET));
  const entry = world.backend.get(clientKeyOf(world))!;
  assertEquals([entry.refresh_token, entry.id_token], [null, null]);
});

Deno.test("client_credentials: a token that lives on is used while the provider is away", async () => {
  await using world = await scriptedProviderWorld();
  await using session = await createSession(jobOptions(world, SECRET));
  const token = await session.accessToken();
  world.clock.advance(HOUR - 60_000);
  world.provider.script.token.push(() => json({}, 503));
  assertEquals(await session.accessToken(), token);
  world.clock.advance(60_000);
  world.provider.script.token.push(() => json({}, 503));
  await rejectsWith("provider_unavailable", () => session.accessToken());
  assert(await session.accessToken() !== token);
});

Deno.test("client_credentials: each request is an event, and no event asks a person", async () => {
  await using world = await scriptedProviderWorld();
  const events: AuthEvent[] = [];
  const onEvent = (event: AuthEvent) => void events.push(event);
  const options = jobOptions(world, { ...SECRET, onEvent });
  await createSession(options);
  await createSession(options);
  world.clock.advance(HOUR);
  world.provider.script.token.push(() => oauthError("invalid_client"));
  await rejectsWith("provider_refused", () => createSession(options));
  await Promise.resolve();
  assertEquals(events.map(({ type }) => type), [
    "refresh_started",
    "refresh_done",
    "stored",
    "refresh_started",
    "refresh_failed",
  ]);
  assertNoSecret(events, [CLIENT_SECRET]);
});

Deno.test("client_credentials: a token that cannot be stored is an error, and serves the next session", async () => {
  await using world = await scriptedProviderWorld();
  const backend = new MemoryCredentialsBackend();
  const put = backend.put.bind(backend);
  backend.put = () => {
    throw new CredentialsBackendError("backend_full", "Cannot write: no space is left. Free some.");
  };
  const options = jobOptions(world, { ...SECRET, credentialsBackend: backend });
  await rejectsWith("credentials_not_stored", () => createSession(options));
  backend.put = put;
  await using session = await createSession(options);
  await session.accessToken();
  assertEquals(tokenForms(world).length, 1);
  assertEquals(await Array.fromAsync(backend.list()), [clientKeyOf(world)]);
});

Deno.test("client_credentials: a damaged row, and one of another program, are replaced", async () => {
  await using world = await scriptedProviderWorld();
  for (const row of [{}, { access_token: 5 }, { access_token: "a b", expires_at: "2099-01-01" }]) {
    world.backend.put(clientKeyOf(world), row as unknown as OidcCredentials);
    await using session = await createSession(jobOptions(world, SECRET));
    assert(world.provider.isActive(await session.accessToken()));
  }
});

Deno.test("client_credentials: an aborted wait ends with the signal's reason", async () => {
  await using world = await scriptedProviderWorld();
  const reason = new Error("enough");
  const controller = new AbortController();
  // No answer: the provider would still sign its ID token when the test ends.
  world.provider.script.token.push((request) => {
    controller.abort(reason);
    return hang(request);
  });
  const options = jobOptions(world, { ...SECRET, signal: controller.signal });
  const error = await createSession(options).then(() => undefined, (error) => error);
  assertEquals(error, reason);
});
