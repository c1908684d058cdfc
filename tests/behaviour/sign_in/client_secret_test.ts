import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { json } from "../../support/http_server.ts";
import { tempDir } from "../../support/temp_home.ts";
import { HOUR, type RealWorld, scriptedProviderWorld, test } from "../../support/provider_world.ts";
import { OwnEnv, setVariables } from "../../support/own_env.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { CLIENT_SECRET, clientKeyOf, clientWorld } from "../../support/client_world.ts";
import { makeKey } from "../../support/jwt.ts";
import { federatedWorld, keyWorld } from "../../support/key_world.ts";
import { assert, assertEquals } from "@std/assert";
import { clearOidcCredentials, createSession, init, type SessionOptions } from "@validmind/auth";

const POST = "client_secret_post";
const BASIC = "client_secret_basic";

function sent(world: RealWorld, field: "form" | "headers", name: string) {
  return world.provider.requests.filter(({ method }) => method === "POST")
    .map((request) => request[field][name]);
}

for (
  const [what, own, offered] of [
    ["by the form", POST, [POST]],
    ["by the form, where both are offered", POST, [BASIC, POST, "none"]],
    ["by the header", BASIC, [BASIC]],
  ] as const
) {
  Deno.test(`client secret: device, token, refresh and revocation requests have it ${what}`, async () => {
    await using world = await clientWorld({ method: own, offered: [...offered] });
    await using dir = await tempDir();
    const clientSecretFile = `${dir.path}/secret`;
    await Deno.writeTextFile(clientSecretFile, `${CLIENT_SECRET}\n`, { mode: 0o600 });
    const session = await world.signIn({ clientSecretFile });
    world.clock.advance(HOUR);
    const token = await session.accessToken();
    assertEquals(JSON.stringify(world.stored()).includes("secret"), false);
    for (const value of [session, await session.status()]) assertNoSecret(value);
    assertEquals((await session.clear({ revoke: true })).revocation, "revoked");
    assertEquals(await world.provider.isActive(token), false);
    const forms = new Set(sent(world, "form", "client_secret"));
    const headers = sent(world, "headers", "authorization").map((value) => value?.split(" ")[0]);
    const byForm = own === POST;
    assertEquals(forms, new Set([byForm ? CLIENT_SECRET : undefined]));
    assertEquals(new Set(headers), new Set([byForm ? undefined : "Basic"]));
    assertEquals(headers.length, 5); // device, token, refresh, and both tokens revoked
  });
}

/** The credentials of the header. Gitea decodes none of them, so that all is as it is, where forms leave it so. */
const HEADER = btoa("validmind-test:plain-secret");

/** A secret in the encoding of forms: RFC 6749, section 2.3.1. */
const ODD = "_a.*%7E+%25%3A%2B%2F%C3%A9";

test("client secret: a provider that offers nothing gets the header", async (world) => {
  world.provider.discovery = { token_endpoint_auth_methods_supported: undefined };
  const credentials = [["plain-secret", HEADER], ["_a.*~ %:+/é", btoa(`validmind-test:${ODD}`)]];
  for (const [clientSecret, header] of credentials) {
    world.provider.reset();
    world.backend.delete(world.key);
    await world.signIn({ clientSecret });
    const token = world.provider.requests.find(({ path }) => path === "/token")!;
    assertEquals(token.headers.authorization, `Basic ${header}`);
    assertEquals(token.form.client_secret, undefined);
  }
});

test("client secret: where the form is refused and the header is offered, the header is tried once", async (world) => {
  world.provider.discovery = { token_endpoint_auth_methods_supported: [POST, BASIC] };
  const refuse = () => json({ error: "invalid_client" }, 401);
  const signIn = () => world.signIn({ clientSecret: "plain-secret" });
  const { device } = world.provider.script;
  device.push(refuse, refuse);
  await rejectsWith("provider_refused", signIn, "VM_OIDC_CLIENT_SECRET");
  device.push(refuse); // the form; the next one is answered
  await signIn();
  const posts = world.provider.requests.filter(({ method }) => method === "POST")
    .map(({ path, headers }) => [path, headers.authorization !== undefined]);
  const tried = [["/device", false], ["/device", true]];
  assertEquals(posts, [...tried, ...tried, ["/token", true]]);
});

test("client secret: an error does not show it, however the provider echoes it", async (world) => {
  world.provider.discovery = { token_endpoint_auth_methods_supported: [BASIC] };
  for (const echo of ["plain-secret", HEADER, `Basic ${HEADER}`]) {
    world.provider.script.device.push(() =>
      json({ error: "invalid_client", error_description: `got ${echo}, no good` }, 401)
    );
    const run = () => world.signIn({ clientSecret: "plain-secret" });
    const words = ["[removed]", "VM_OIDC_CLIENT_SECRET"];
    const error = await rejectsWith("provider_refused", run, ...words);
    assertNoSecret(error, ["plain-secret", HEADER]);
  }
});

test("client secret: the variable's is not another client's", async (world) => {
  const { issuer, clientId } = world.provider;
  const elsewhere = "https://other.example.com";
  const rows: [isSent: boolean, issuer?: string, clientId?: string][] = [
    [true, `${issuer}/`, clientId],
    [false],
    [false, issuer],
    [false, undefined, clientId],
    [false, elsewhere, clientId],
    [false, issuer, "other"],
    [false, elsewhere],
  ];
  for (const [isSent, VM_OIDC_ISSUER, VM_OIDC_CLIENT_ID] of rows) {
    using env = new OwnEnv({ VM_OIDC_CLIENT_SECRET: "variable-secret" });
    if (VM_OIDC_ISSUER) env.set("VM_OIDC_ISSUER", VM_OIDC_ISSUER);
    if (VM_OIDC_CLIENT_ID) env.set("VM_OIDC_CLIENT_ID", VM_OIDC_CLIENT_ID);
    world.provider.reset();
    world.backend.delete(world.key);
    await world.signIn();
    const { headers } = world.provider.requests.find(({ path }) => path === "/token")!;
    assertEquals(headers.authorization !== undefined, isSent);
  }
});

Deno.test("client secret: the variable's is given to nobody while it cannot be known whose it is", {
  permissions: { env: ["VM_OIDC_CLIENT_SECRET"], net: ["127.0.0.1", "localhost"] },
}, async () => {
  await using world = await scriptedProviderWorld();
  Deno.env.set("VM_OIDC_CLIENT_SECRET", CLIENT_SECRET);
  await world.signIn();
  const requests = JSON.stringify(world.provider.requests);
  assertEquals([requests.includes(CLIENT_SECRET), /basic/i.test(requests)], [false, false]);
});

Deno.test("client secret: clearing all gives it to the configured client's provider only", async () => {
  await using world = await clientWorld({ method: POST });
  await using other = await scriptedProviderWorld();
  const credentialsBackend = world.backend;
  await init({ ...world.options, clientSecret: CLIENT_SECRET, model: "m" });
  const token = await (await other.signIn({ credentialsBackend })).accessToken();
  Deno.env.set("VM_OIDC_CLIENT_SECRET", "variable-secret");
  other.provider.reset();
  const result = await clearOidcCredentials({ all: true, revoke: true });
  assertEquals([result.keys.length, result.revocation], [2, "revoked"]);
  assertEquals(await other.provider.isActive(token), false);
  for (const { form, headers } of other.provider.requests) {
    assertEquals([form.client_secret, headers.authorization], [undefined, undefined]);
  }
});

const PAIRS: [SessionOptions, string, string][] = [
  [{ clientSecret: "abcdefgh", clientKeyFile: "/k" }, "clientSecret", "clientKeyFile"],
  [{ clientKeyFile: "/k", clientAssertionFile: "/a" }, "clientKeyFile", "clientAssertionFile"],
  [{ clientSecretFile: "/s", clientAssertion: "github" }, "clientSecretFile", "clientAssertion"],
];
for (const [options, ...names] of PAIRS) {
  test(`client authentication: ${names.join(" and ")} exclude each other`, async (world) => {
    await rejectsWith("invalid_options", () => world.signIn({ ...options }), ...names);
    await rejectsWith("invalid_options", () => clearOidcCredentials(options as object), ...names);
    assertEquals(world.provider.requests, []);
  });
}

Deno.test("client authentication: two variables exclude each other, and an option wins over both", async () => {
  await using world = await clientWorld();
  const files = {
    VM_OIDC_CLIENT_KEY_FILE: "/absent/key",
    VM_OIDC_CLIENT_ASSERTION_FILE: "/absent/assertion",
  };
  const { issuer, clientId } = world.provider;
  setVariables({ VM_OIDC_ISSUER: issuer, VM_OIDC_CLIENT_ID: clientId, ...files });
  await rejectsWith("invalid_options", () => world.job(), ...Object.keys(files));
  await world.job({ clientSecret: CLIENT_SECRET });
});

Deno.test("client authentication: the variables do, for their own client alone", async () => {
  const key = await makeKey("ES256");
  await using it = await keyWorld([key.publicJwk]);
  const { issuer, clientId } = it.world.provider;
  Deno.env.set("VM_OIDC_CLIENT_KEY_FILE", await it.file(key.pem));
  Deno.env.set("VM_OIDC_FLOW", "client_credentials");
  const { onDeviceCode: _, ...options } = it.world.options;
  await rejectsWith("client_auth_unusable", () => createSession(options), "flow");
  setVariables({ VM_OIDC_ISSUER: issuer, VM_OIDC_CLIENT_ID: clientId });
  const session = await init({ ...options, model: "m" });
  assert(await it.world.provider.isActive(await session.accessToken()));
  const { keys, revocation } = await clearOidcCredentials({ revoke: true });
  assertEquals([keys, revocation], [[clientKeyOf(it.world)], "revoked"]);
});

Deno.test("client authentication: clearOidcCredentials revokes with the option's key or assertion", async () => {
  await using it = await federatedWorld();
  const clientAssertionFile = await it.file(await it.assertion());
  const { issuer, clientId } = it.world.provider;
  await it.job({ clientAssertionFile });
  await it.file(await it.assertion()); // the provider takes each one once
  const named = { issuer, clientId, credentialsBackend: it.world.backend, revoke: true };
  const asPerson = await clearOidcCredentials({ ...named, clientAssertionFile });
  assertEquals(asPerson.keys, []);
  const flow = "client_credentials" as const;
  const { keys, revocation } = await clearOidcCredentials({ ...named, flow, clientAssertionFile });
  assertEquals([keys, revocation], [[clientKeyOf(it.world)], "revoked"]);
});
