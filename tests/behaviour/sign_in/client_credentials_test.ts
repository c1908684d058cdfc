import { assertNoSecret, rememberSecret } from "../../support/assert_no_secret.ts";
import {
  AssertionIssuer,
  CLIENT_SECRET,
  clientKeyOf,
  clientWorld,
} from "../../support/client_world.ts";
import { tempDir } from "../../support/temp_home.ts";
import { HOUR, scriptedProviderWorld, test } from "../../support/provider_world.ts";
import { setVariables } from "../../support/own_env.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { json, oauthError, type ScriptHandler } from "../../support/scripted_provider.ts";
import { createSession, credentialKey, requiredPermissions } from "@validmind/auth";
import type { OidcCredentials, SessionOptions } from "@validmind/auth";
import { assert, assertEquals } from "@std/assert";

const SECRET = { clientSecret: CLIENT_SECRET };

function tokenForms(world: { provider: { requests: { path: string; form: unknown }[] } }) {
  return world.provider.requests.filter(({ path }) => path === "/token")
    .map(({ form }) => form as Record<string, string>);
}

Deno.test("client_credentials: the API takes the token, which is under a key of its own", async () => {
  await using world = await clientWorld();
  await using session = await world.job(SECRET);
  assert(await session.get("thing"));
  const [form, ...more] = tokenForms(world);
  assertEquals([form!.grant_type, form!.scope, more], ["client_credentials", undefined, []]);
  const entry = world.backend.get(clientKeyOf(world))!;
  assertEquals([entry.refresh_token, entry.id_token], [null, null]);
  assertEquals(JSON.stringify(entry).includes("secret"), false);
  assertEquals(world.codes, []);
  const person = await world.signIn(SECRET); // a person's sign-in beside it
  assertEquals(await Array.fromAsync(world.backend.list()), [clientKeyOf(world), world.key]);
  const token = await session.accessToken();
  const { keys, revocation } = await session.clear({ revoke: true });
  assertEquals([keys, revocation], [[clientKeyOf(world)], "revoked"]);
  assertEquals(await world.provider.isActive(token), false);
  assertEquals((await session.status()).signedIn, false);
  assert(await world.provider.isActive(await person.accessToken()));
  assertEquals(await Array.fromAsync(world.backend.list()), [world.key]);
});

Deno.test("client_credentials: a stored token serves without a request, and an ended one is renewed", async () => {
  await using world = await clientWorld();
  const first = await (await world.job(SECRET)).accessToken();
  world.provider.reset();
  assertEquals(await (await world.job(SECRET)).accessToken(), first);
  assertEquals(world.provider.requests, []);
  world.clock.advance(HOUR);
  const session = await world.job({ ...SECRET, interactive: false });
  const second = await session.accessToken();
  assert(second !== first);
  world.clock.advance(HOUR);
  assert(await session.accessToken() !== second);
  assertEquals(tokenForms(world).length, 2);
  const { subject, flow, signedIn, refreshable, scope } = await session.status();
  assertEquals([subject, flow, scope], [world.provider.clientId, "client_credentials", ""]);
  assertEquals([signedIn, refreshable, session.flow], [true, true, "client_credentials"]);
});

test("client_credentials: scope and audience are asked for, and another scope is another token", async (world) => {
  const options = { ...SECRET, audience: "api", scope: "read write" };
  for (const scope of ["read write", "read", "admin"]) await world.job({ ...options, scope });
  assertEquals(
    tokenForms(world).map(({ scope, audience }) => [scope, audience]),
    [["read write", "api"], ["admin", "api"]],
  );
  const [key] = await Array.fromAsync(world.backend.list());
  const { refresh_token, id_token } = world.backend.get(key!)!;
  assertEquals([refresh_token, id_token], [null, null], "of a person, in the answer");
});

for (
  const [code, ...words] of [
    ["invalid_client", "the provider answered", "clientSecret (VM_OIDC_CLIENT_SECRET"],
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
    const error = await rejectsWith("provider_refused", () => world.job(SECRET), ...words);
    assertEquals(error.oauthError, code);
    assertNoSecret(error, [CLIENT_SECRET]);
    assertEquals(await Array.fromAsync(world.backend.list()), []);
  });
}

test("client_credentials: without a secret, key or assertion nothing is sent", async (world) => {
  const words = ["clientSecret", "VM_OIDC_CLIENT_KEY_FILE"];
  await rejectsWith("client_auth_unusable", () => world.job(), ...words);
  assertEquals(tokenForms(world), []);
});

test("client_credentials: a damaged row, and one of another program, are replaced", async (world) => {
  const rows = [{}, { access_token: 5 }, { access_token: "a b", expires_at: "2099-01-01" }];
  for (const row of [...rows, { access_token: {}, refresh_token: {} }]) {
    world.backend.put(clientKeyOf(world), row as unknown as OidcCredentials);
    await using session = await world.job(SECRET);
    assert(world.provider.isActive(await session.accessToken()));
  }
});

test("client_credentials: with DPoP, the token is bound, and a renewed one to a key of its own", async (world) => {
  world.provider.discovery = { dpop_signing_alg_values_supported: ["ES256"] };
  const keys: string[] = [];
  const answer = async (request: Request) => {
    keys.push(JSON.parse(atob(request.headers.get("dpop")!.split(".")[0]!)).jwk.x);
    const rest = { refresh_token: undefined, id_token: undefined };
    return await world.provider.tokens({ token_type: "DPoP", ...rest });
  };
  world.provider.script.token.push(answer, answer);
  await using session = await world.job({ ...SECRET, dpop: true });
  const headers = await session.headers({ url: `${world.api.apiHost}ping` });
  assertEquals(headers.get("authorization")?.startsWith("DPoP "), true);
  assertEquals(headers.has("dpop"), true);
  world.clock.advance(HOUR);
  await session.accessToken();
  assertEquals([keys.length, new Set(keys).size], [2, 2]);
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
  const options = { flow: "token_exchange", subjectTokenFile: path, audience: "api" } as const;
  return {
    world,
    path,
    key: credentialKey(issuer, clientId, "api", { flow: "token_exchange" }),
    exchange: (more: SessionOptions = {}) => world.job({ ...options, ...more }),
    options,
    async fill(text: string) {
      await Deno.writeTextFile(path, text, { mode: 0o600 });
      return text;
    },
    token: async (claims: Record<string, unknown> = {}) => {
      const all = { iss: issuer, azp: "the-hub", ...claims };
      const token = await hub.assertion("hub", "person", all);
      rememberSecret(token);
      return token;
    },
    forms: () => tokenForms(world),
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
  await using session = await it.exchange();
  assert(await session.get("thing"));
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
  await it.world.signIn({ audience: "api" }); // a person's sign-in beside it
  assertEquals((await Array.fromAsync(backend.list())).length, 2);
  assertEquals([codes.length, session.flow], [1, "token_exchange"]);
  assertEquals(JSON.stringify(backend.get(key)).includes(subject), false);
  assertEquals((await session.clear({ revoke: true })).keys, [key]);
});

Deno.test("token exchange: each renewal reads the file again, and a stored token needs none", async () => {
  await using it = await exchangeWorld();
  await it.fill(await it.token());
  await using session = await it.exchange({ scope: "read" });
  const first = await session.accessToken();
  await Deno.remove(it.path);
  assertEquals(await (await it.exchange({ scope: "read" })).accessToken(), first);
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

Deno.test("token exchange: each renewal exchanges, and a refresh token is not kept", async () => {
  await using it = await exchangeWorld();
  await it.fill(await it.token());
  it.answer(() => it.world.provider.tokens({ issued_token_type: ACCESS_TOKEN }));
  await using session = await it.exchange({ scope: "openid" });
  assertEquals((await session.status()).subject, "analyst@example.com");
  it.world.clock.advance(HOUR);
  await session.accessToken();
  assertEquals(it.forms().at(-1)!.grant_type, `${URN}:grant-type:token-exchange`);
  const { refresh_token, id_token, scope } = it.world.backend.get(it.key)!;
  assertEquals([refresh_token, id_token, scope], [null, null, "openid"]);
});

Deno.test("token exchange: an answer with anything but an access token is refused", async () => {
  await using it = await exchangeWorld();
  const token = await it.fill(await it.token());
  for (
    const [change, word] of [
      [{ issued_token_type: token }, "is [removed]"],
      [{ issued_token_type: `${URN}:token-type:id_token` }, "token-type:id_token"],
      [{ issued_token_type: undefined }, "is missing"],
      [{ token_type: "N_A" }, "token_type"],
    ] as const
  ) {
    it.answer(() => it.world.provider.exchanged(change));
    const error = await rejectsWith("provider_invalid", () => it.exchange(), word);
    assertNoSecret(error, [token.slice(0, 30)]);
  }
  assertEquals(await Array.fromAsync(it.world.backend.list()), []);
  const bearer = { bearer: "id_token" } as const;
  await rejectsWith("invalid_options", () => it.exchange(bearer), "token_exchange");
});

Deno.test("token exchange: a refusal names file, client, audience, its cause and another way", async () => {
  await using it = await exchangeWorld();
  const rows: [code: string, word: string][] = [
    ["invalid_request", "Check that the token has not ended"],
    ["access_denied", "Have its exchange allowed"],
    ["invalid_target", "check audience"],
    ["invalid_client", "prove itself"],
    ["invalid_scope", "check audience"],
  ];
  it.answer(() => json({ error: "invalid_request", error_description: "Audience not found" }, 400));
  await it.fill(await it.token());
  await rejectsWith("provider_refused", () => it.exchange(), "does not know this API", it.path);
  for (const [code, word] of rows) {
    const token = await it.fill(await it.token());
    it.answer((_, form) =>
      json({ error: code, error_description: `no ${form.get("subject_token")}` }, 400)
    );
    const named = [it.path, it.world.provider.clientId, "audience api", 'flow: "device"'];
    const error = await rejectsWith("provider_refused", () => it.exchange(), ...named, code, word);
    assertNoSecret(error, [token, token.slice(0, 30)]);
  }
});

Deno.test("token exchange: a file that cannot be used is not sent", async () => {
  await using it = await exchangeWorld();
  const run = () => it.exchange();
  await rejectsWith("client_auth_unusable", run, it.path, "not there");
  for (const [text, word] of [["", "empty"], ["a b", "hold one token"], ["é", "hold one token"]]) {
    await it.fill(text!);
    await rejectsWith("client_auth_unusable", run, it.path, word!, "the hub");
  }
  await it.fill(await it.token({ iss: "https://other.example.com" }));
  const issuers = ["another issuer, https://other.example.com", it.world.provider.issuer];
  await rejectsWith("client_auth_unusable", run, it.path, "audience api", ...issuers);
  const none = () => it.world.job({ flow: "token_exchange" });
  await rejectsWith("client_auth_unusable", none, "VM_OIDC_ISSUER", "device");
  assertEquals(it.forms(), []);
});

Deno.test("token exchange: the file of the variable goes to the client of the variables alone", async () => {
  await using it = await exchangeWorld();
  await it.fill(await it.token());
  const { issuer, clientId, onDeviceCode: _1, ...rest } = { ...it.world.options, ...it.options };
  setVariables({
    VM_OIDC_ISSUER: issuer!,
    VM_OIDC_CLIENT_ID: clientId!,
    VM_OIDC_SUBJECT_TOKEN_FILE: it.path,
  });
  const { subjectTokenFile: _, ...unnamed } = rest;
  const other = { ...unnamed, issuer: issuer!, clientId: "another" };
  await rejectsWith("client_auth_unusable", () => createSession(other), "subjectTokenFile of");
  assertEquals(it.forms(), []);
  await createSession(unnamed);
  assertEquals(it.forms().length, 1);
  const names = JSON.stringify(await requiredPermissions({ ...unnamed, model: "m" }));
  for (const name of [it.path, "VM_OIDC_SUBJECT_TOKEN_FILE"]) assert(names.includes(name));
});
