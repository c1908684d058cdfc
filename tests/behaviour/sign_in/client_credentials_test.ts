import { FileCredentialsBackend } from "../../../backends/file.ts";
import type { OidcCredentials } from "../../../backends/oidc_credentials_backend.ts";
import { createSession } from "../../../client/create_session.ts";
import { assertNoSecret, rememberSecret } from "../../support/assert_no_secret.ts";
import {
  AssertionIssuer,
  CLIENT_SECRET,
  clientKeyOf,
  clientWorld,
  jobOptions,
} from "../../support/client_world.ts";
import { tempDir } from "../../support/temp_home.ts";
import { HOUR, scriptedProviderWorld, test } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { json, oauthError, type ScriptHandler } from "../../support/scripted_provider.ts";
import { credentialKey } from "../../../client/entry.ts";
import { requiredPermissions } from "../../../client/init.ts";
import type { SessionOptions } from "../../../client/session_options.ts";
import { assert, assertEquals } from "@std/assert";

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
  await world.signIn({ ...SECRET }); // a person's sign-in beside it
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
  const { subject, flow, signedIn, refreshable, scope } = await session.status();
  assertEquals([subject, flow, scope], [world.provider.clientId, "client_credentials", ""]);
  assertEquals([signedIn, refreshable, session.flow], [true, true, "client_credentials"]);
});

test("client_credentials: scope and audience are asked for, and another scope is another token", async (world) => {
  const options = jobOptions(world, { ...SECRET, audience: "api", scope: "read write" });
  await createSession(options);
  await createSession({ ...options, scope: "read" });
  await createSession({ ...options, scope: "admin" });
  assertEquals(
    tokenForms(world).map(({ scope, audience }) => [scope, audience]),
    [["read write", "api"], ["admin", "api"]],
  );
});

Deno.test("client_credentials: clear removes and revokes the client's token, and no person's", async () => {
  await using world = await clientWorld();
  const person = await world.signIn({ ...SECRET });
  await using session = await createSession(jobOptions(world, SECRET));
  const token = await session.accessToken();
  const { keys, revocation } = await session.clear({ revoke: true });
  assertEquals([keys, revocation], [[clientKeyOf(world)], "revoked"]);
  assertEquals(await world.provider.isActive(token), false);
  assertEquals((await session.status()).signedIn, false);
  assert(await world.provider.isActive(await person.accessToken()));
  assertEquals(await Array.fromAsync(world.backend.list()), [world.key]);
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
  test(`client_credentials: ${code} is provider_refused, never login_required`, async (world) => {
    world.provider.script.token.push(() => oauthError(code));
    const run = () => createSession(jobOptions(world, SECRET));
    const error = await rejectsWith("provider_refused", run, ...words);
    assertEquals(error.oauthError, code);
    assertEquals(await Array.fromAsync(world.backend.list()), []);
  });
}

Deno.test("client_credentials: without a secret, key or assertion nothing is sent", async () => {
  await using world = await clientWorld();
  const run = () => createSession(jobOptions(world));
  await rejectsWith("client_auth_unusable", run, "clientSecret", "VM_OIDC_CLIENT_KEY_FILE");
  assertEquals(tokenForms(world), []);
});

test("client_credentials: tokens of a person in the answer are dropped", async (world) => {
  await createSession(jobOptions(world, SECRET));
  const entry = world.backend.get(clientKeyOf(world))!;
  assertEquals([entry.refresh_token, entry.id_token], [null, null]);
});

test("client_credentials: a token that lives on is used while the provider is away", async (world) => {
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

test("client_credentials: a damaged row, and one of another program, are replaced", async (world) => {
  for (const row of [{}, { access_token: 5 }, { access_token: "a b", expires_at: "2099-01-01" }]) {
    world.backend.put(clientKeyOf(world), row as unknown as OidcCredentials);
    await using session = await createSession(jobOptions(world, SECRET));
    assert(world.provider.isActive(await session.accessToken()));
  }
});

Deno.test("client_credentials: with DPoP, the token is bound, and a renewed one to a key of its own", async () => {
  await using world = await scriptedProviderWorld({
    discovery: { dpop_signing_alg_values_supported: ["ES256"] },
  });
  const keys: string[] = [];
  const answer = async (request: Request) => {
    keys.push(JSON.parse(atob(request.headers.get("dpop")!.split(".")[0]!)).jwk.x);
    const rest = { refresh_token: undefined, id_token: undefined };
    return await world.provider.tokens({ token_type: "DPoP", ...rest });
  };
  world.provider.script.token.push(answer, answer);
  await using session = await createSession(jobOptions(world, { ...SECRET, dpop: true }));
  const headers = await session.headers({ url: `${world.api.apiHost}ping` });
  assertEquals(headers.get("authorization")?.startsWith("DPoP "), true);
  assertEquals(headers.has("dpop"), true);
  world.clock.advance(HOUR);
  await session.accessToken();
  assertEquals([keys.length, new Set(keys).size], [2, 2]);
});

Deno.test("client_credentials: a person's entry, Python's too, stands beside the client's untouched", async () => {
  await using world = await clientWorld();
  await using dir = await tempDir();
  const path = `${dir.path}/credentials.json`;
  const { issuer, clientId } = world.provider;
  const row = {
    issuer,
    client_id: clientId,
    access_token: "token-of-a-person",
    id_token: null,
    expires_at: "2099-01-01T00:00:00.123456+00:00",
    future_field: { a: 1 },
  };
  const document = { version: 1, credentials: { [world.key]: row }, more: true };
  await Deno.writeTextFile(path, JSON.stringify(document), { mode: 0o600 });
  const credentialsBackend = new FileCredentialsBackend({ path });
  await using session = await createSession(jobOptions(world, { ...SECRET, credentialsBackend }));
  assertEquals(await session.accessToken() === row.access_token, false);
  const { credentials, ...rest } = JSON.parse(await Deno.readTextFile(path));
  assertEquals(credentials[world.key], row);
  assertEquals(Object.keys(credentials), [world.key, clientKeyOf(world)]);
  assertEquals(rest, { version: 1, more: true });
  const person = { issuer, clientId, credentialsBackend, interactive: false };
  await using served = await createSession(person);
  assertEquals(await served.accessToken(), row.access_token);
});

const URN = "urn:ietf:params:oauth";
const ACCESS_TOKEN = `${URN}:token-type:access_token`;

/** A client, the file that a hub fills for its person, and the hub's tokens. */
async function exchangeWorld() {
  const world = await scriptedProviderWorld();
  const { issuer, clientId } = world.provider;
  const dir = await tempDir();
  const path = `${dir.path}/token`;
  const hub = await AssertionIssuer.make();
  return {
    world,
    path,
    key: credentialKey(issuer, clientId, "api", { flow: "token_exchange" }),
    options: (more: SessionOptions = {}) =>
      jobOptions(world, {
        flow: "token_exchange",
        subjectTokenFile: path,
        audience: "api",
        ...more,
      }),
    async fill(text: string) {
      await Deno.writeTextFile(path, text, { mode: 0o600 });
      return text;
    },
    token: async (claims: Record<string, unknown> = {}) => {
      const token = await hub.assertion("hub", "person", {
        iss: issuer,
        azp: "the-hub",
        ...claims,
      });
      rememberSecret(token);
      return token;
    },
    forms: () =>
      world.provider.requests.filter(({ path }) => path === "/token")
        .map(({ form }) => form as Record<string, string>),
    answer: (...answers: ScriptHandler[]) => world.provider.script.token.push(...answers),
    async [Symbol.asyncDispose]() {
      await dir[Symbol.asyncDispose]();
      await world[Symbol.asyncDispose]();
    },
  };
}

Deno.test("token exchange: the hub's token becomes one for the API, under a key of its own", async () => {
  await using it = await exchangeWorld();
  const { world: { provider, backend, codes }, key } = it;
  const subject = await it.fill(await it.token());
  await using session = await createSession(it.options());
  const response = await session.fetch("ping");
  await response.body?.cancel();
  assertEquals(response.status, 200);
  const [{ subject_token, ...form } = {}, ...more] = it.forms();
  assertEquals([subject_token, more], [subject, []]);
  assertEquals(form, {
    grant_type: `${URN}:grant-type:token-exchange`,
    client_id: provider.clientId,
    subject_token_type: ACCESS_TOKEN,
    requested_token_type: ACCESS_TOKEN,
    audience: "api",
  });
  const { flow, signedIn, refreshable, scope } = await session.status();
  assertEquals([flow, signedIn, refreshable, scope], ["token_exchange", true, true, ""]);
  await createSession({ ...it.world.options, audience: "api" }); // a person's sign-in beside it
  assertEquals((await Array.fromAsync(backend.list())).length, 2);
  assertEquals([codes.length, session.flow], [1, "token_exchange"]);
  assertEquals(JSON.stringify(backend.get(key)).includes(subject), false);
  assertEquals((await session.clear({ revoke: true })).keys, [key]);
});

Deno.test("token exchange: each renewal reads the file again, and a stored token needs none", async () => {
  await using it = await exchangeWorld();
  await it.fill(await it.token());
  await using session = await createSession(it.options({ scope: "read" }));
  const first = await session.accessToken();
  await Deno.remove(it.path);
  assertEquals(await (await createSession(it.options({ scope: "read" }))).accessToken(), first);
  it.world.clock.advance(HOUR);
  const renewed = await it.fill(await it.token());
  assert(await session.accessToken() !== first);
  const [, last, ...more] = it.forms();
  assertEquals([last!.subject_token, last!.scope, more], [renewed, "read", []]);
  it.world.clock.advance(HOUR);
  await Deno.remove(it.path); // the hub's sign-out
  const error = () => session.accessToken();
  await rejectsWith("client_auth_unusable", error, "not there", it.path, "subjectTokenFile");
});

Deno.test("token exchange: a refresh token is used, and without it the next renewal exchanges", async () => {
  await using it = await exchangeWorld();
  await it.fill(await it.token());
  it.answer(() => it.world.provider.tokens({ issued_token_type: ACCESS_TOKEN }));
  await using session = await createSession(it.options({ scope: "openid" }));
  assertEquals((await session.status()).subject, "analyst@example.com");
  for (const grant of ["refresh_token", "refresh_token", `${URN}:grant-type:token-exchange`]) {
    if (grant !== "refresh_token") it.answer(() => json({ error: "invalid_grant" }, 400));
    it.world.clock.advance(HOUR);
    await session.accessToken();
    assertEquals(it.forms().at(-1)!.grant_type, grant);
  }
  const { refresh_token, id_token, scope } = it.world.backend.get(it.key)!;
  assertEquals([refresh_token, id_token, scope], [null, null, "openid"], "of the ended grant");
});

Deno.test("token exchange: an answer with anything but an access token is refused", async () => {
  await using it = await exchangeWorld();
  await it.fill(await it.token());
  for (
    const [change, word] of [
      [{ issued_token_type: `${URN}:token-type:id_token` }, "token-type:id_token"],
      [{ issued_token_type: undefined }, "undefined"],
      [{ token_type: "N_A" }, "token_type"],
    ] as const
  ) {
    it.answer(() => it.world.provider.exchanged(change));
    await rejectsWith("provider_invalid", () => createSession(it.options()), word);
  }
  assertEquals(await Array.fromAsync(it.world.backend.list()), []);
  const bearer = { bearer: "id_token" } as const;
  await rejectsWith("invalid_options", () => createSession(it.options(bearer)), "token_exchange");
});

Deno.test("token exchange: a refusal names file, client, audience, its cause and another way", async () => {
  await using it = await exchangeWorld();
  const past = Math.floor(Date.now() / 1000) - 10;
  const rows: [claims: Record<string, unknown>, code: string, word: string][] = [
    [{ exp: past }, "invalid_request", "has ended. Sign in again"],
    [{}, "access_denied", "the exchange of tokens of the-hub allowed"],
    [{}, "invalid_target", "check audience"],
    [{}, "invalid_client", "Check audience"],
  ];
  for (const [claims, code, word] of rows) {
    const token = await it.fill(await it.token(claims));
    it.answer((_, form) =>
      json({ error: code, error_description: `no ${form.get("subject_token")}` }, 400)
    );
    const words = [
      it.path,
      it.world.provider.clientId,
      "audience api",
      code,
      word,
      'flow: "device"',
    ];
    const run = () => createSession(it.options());
    const error = await rejectsWith("provider_refused", run, ...words);
    assertNoSecret(error, [token, token.slice(0, 30)]);
  }
});

Deno.test("token exchange: a file that cannot be used is not sent", async () => {
  await using it = await exchangeWorld();
  const run = () => createSession(it.options());
  await rejectsWith("client_auth_unusable", run, it.path, "not there");
  for (const text of ["", "a b", "é"]) {
    await it.fill(text);
    await rejectsWith("client_auth_unusable", run, it.path, "no single token", "the hub");
  }
  await it.fill(await it.token({ iss: "https://other.example.com" }));
  const issuers = ["another issuer, https://other.example.com", it.world.provider.issuer];
  await rejectsWith("client_auth_unusable", run, it.path, "audience api", ...issuers);
  const { subjectTokenFile: _, ...none } = it.options();
  await rejectsWith("client_auth_unusable", () => createSession(none), "VM_OIDC_ISSUER", "device");
  assertEquals(it.forms(), []);
});

Deno.test("token exchange: the file of the variable goes to the client of the variables alone", async () => {
  await using it = await exchangeWorld();
  await it.fill(await it.token());
  const { issuer, clientId, subjectTokenFile, ...rest } = it.options();
  const variables = {
    VM_OIDC_ISSUER: issuer!,
    VM_OIDC_CLIENT_ID: clientId!,
    VM_OIDC_SUBJECT_TOKEN_FILE: subjectTokenFile!,
  };
  for (const [name, value] of Object.entries(variables)) Deno.env.set(name, value);
  const other = { ...rest, issuer: issuer!, clientId: "another" };
  await rejectsWith("client_auth_unusable", () => createSession(other), "no file is named");
  assertEquals(it.forms(), []);
  await createSession(rest);
  assertEquals(it.forms().length, 1);
  const names = JSON.stringify(await requiredPermissions({ ...rest, model: "m" }));
  for (const name of [subjectTokenFile!, "VM_OIDC_SUBJECT_TOKEN_FILE"]) {
    assert(names.includes(name));
  }
});
