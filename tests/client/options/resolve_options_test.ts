import { assert, assertEquals } from "@std/assert";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import { createSession } from "../../../client/create_session.ts";
import { credentialKey } from "../../../client/credential_key.ts";
import type { OidcIdentity } from "../../../client/options/resolve_identity.ts";
import { findOrigin } from "../../../client/options/places.ts";
import { checkSessionOptions, resolveOptions } from "../../../client/options/resolve_options.ts";
import type { InitOptions, SessionOptions } from "../../../client/session_options.ts";
import { withTempHome } from "../../support/temp_home.ts";

const OIDC = { issuer: "https://login.example.com", clientId: "my-app" };
const OIDC_ENV = { VM_OIDC_ISSUER: "https://env.example.com", VM_OIDC_CLIENT_ID: "env-app" };
const BY_ENV = { issuer: "https://env.example.com", clientId: "env-app" };
const KEY = { apiKey: "k", apiSecret: "s" };
const KEY_ENV = { VM_API_KEY: "env-key", VM_API_SECRET: "env-secret" };
const MODEL = { VM_API_MODEL: "env-model" };
/** A notebook that nobody has edited. */
const DOTS = {
  apiKey: "...",
  apiSecret: "...",
  apiHost: "...",
  apiUrl: "https://ignored.example/",
  model: "...",
  issuer: "https://ignored.example",
  clientId: "...",
  audience: "...",
};
const LONGEST = 2 ** 31 - 1;
const A = "https://a.example";
const BLANK = Object.fromEntries(
  ["SCOPE", "AUDIENCE", "FLOW", "INTERACTIVE", "PROFILE"].map((name) => [`VM_OIDC_${name}`, " \t"]),
);
const EMPTY = { VM_API_KEY: "", VM_API_SECRET: " ", VM_API_TIMEOUT: "", VM_API_HOST: "" };

/** What options, with variables among them, come to: the identity and all else, without the usual. */
async function resolve(given: Record<string, unknown>, isInit: boolean) {
  return await withTempHome(async () => {
    const options: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(given)) {
      if (/^(VM_|CI$)/.test(name)) Deno.env.set(name, value as string);
      else options[name] = value;
    }
    const checked = checkSessionOptions(options as InitOptions, "test", isInit);
    const places = await findOrigin(checked, "test");
    const inForce = places.origin.complete(checked, "test", () => true);
    const { identity, apiHost, silencedBy, runtime, modelOptions } = resolveOptions(
      inForce,
      "test",
      isInit,
      places,
    );
    const { timeoutMs } = runtime;
    const { isDefaultScope: _, ...rest } = identity as OidcIdentity; // held by default_scope_test.ts
    const interactive = identity.kind === "oidc" && silencedBy === undefined;
    return { ...rest, apiHost, interactive, timeoutMs, ...modelOptions };
  });
}

const USUAL = {
  kind: "oidc",
  ...OIDC,
  scope: "openid profile email offline_access",
  apiHost: undefined,
  interactive: true,
  timeoutMs: 30_000,
};

const SESSION: [given: Record<string, unknown>, expected: Record<string, unknown>][] = [
  [OIDC, {}],
  [{ ...OIDC, scope: " openid  email " }, { scope: "openid email" }],
  [{ ...OIDC, audience: "'api/'" }, { audience: "api/" }],
  [OIDC_ENV, BY_ENV],
  [{ ...OIDC, ...OIDC_ENV }, {}],
  [{ ...OIDC, VM_OIDC_SCOPE: "openid" }, { scope: "openid" }],
  [{ ...OIDC, ...OIDC_ENV, VM_OIDC_SCOPE: "x", VM_OIDC_AUDIENCE: "y" }, {}],
  [{ ...OIDC, scope: "a", VM_OIDC_SCOPE: "x" }, { scope: "a" }],
  [{ ...OIDC, VM_OIDC_AUDIENCE: "env-api" }, { audience: "env-api" }],
  [{ ...OIDC, audience: "b", VM_OIDC_AUDIENCE: "y" }, { audience: "b" }],
  [{ ...OIDC, audience: " ", VM_OIDC_AUDIENCE: "env-api" }, {}],
  [{ ...OIDC, ...BLANK, ...EMPTY }, {}],

  [{ ...OIDC, timeoutMs: 5, VM_API_TIMEOUT: "9" }, { timeoutMs: 5 }],
  [{ ...OIDC, VM_API_TIMEOUT: "2.5" }, { timeoutMs: 2500 }],
  [{ ...OIDC, timeoutMs: Infinity }, { timeoutMs: LONGEST }],
  [{ ...OIDC, timeoutMs: 1e12 }, { timeoutMs: LONGEST }],
  [{ ...OIDC, VM_API_TIMEOUT: "1e9" }, { timeoutMs: LONGEST }],

  [{ ...OIDC, apiHost: A }, { apiHost: `${A}/` }],
  [{ ...OIDC, apiHost: ` ${A}/v1 ` }, { apiHost: `${A}/v1/` }],
  [{ ...OIDC, apiHost: `${A}/v1/` }, { apiHost: `${A}/v1/` }],
  [{ ...OIDC, apiHost: A, apiUrl: "https://b.example/" }, { apiHost: "https://b.example/" }],
  [{ ...OIDC, apiHost: A, VM_API_URL: "https://c.example/" }, { apiHost: `${A}/` }],
  [{ ...OIDC, VM_API_URL: A, VM_API_HOST: "https://d.example/" }, { apiHost: `${A}/` }],
  [{ ...OIDC, VM_API_HOST: A }, { apiHost: `${A}/` }],

  ...["0", "false", " No "].map((VM_OIDC_INTERACTIVE): typeof SESSION[number] => [
    { ...OIDC, VM_OIDC_INTERACTIVE },
    { interactive: false },
  ]),
  // A test has a terminal or none, as it is run.
  ...["true", "1", "woodpecker"].map((CI): typeof SESSION[number] => [
    { ...OIDC, CI },
    { interactive: Deno.stdin.isTerminal() || Deno.stderr.isTerminal() },
  ]),
  [{ ...OIDC, CI: "true", VM_OIDC_INTERACTIVE: "1" }, {}],
  [{ ...OIDC, CI: "true", onDeviceCode: () => {} }, {}],
  ...["", "0", "False"].map((CI): typeof SESSION[number] => [{ ...OIDC, CI }, {}]),
  [{ ...OIDC, VM_OIDC_INTERACTIVE: "1" }, {}],
  [{ ...OIDC, VM_OIDC_INTERACTIVE: "YES" }, {}],
  [{ ...OIDC, interactive: true, VM_OIDC_INTERACTIVE: "0" }, {}],
  [{ ...OIDC, interactive: false, VM_OIDC_INTERACTIVE: "1" }, { interactive: false }],
  [{ ...OIDC, interactive: true, VM_OIDC_INTERACTIVE: "nonsense" }, {}],

  [{ ...OIDC, VM_OIDC_FLOW: "auto" }, {}],
  [{ ...OIDC, VM_OIDC_FLOW: " browser " }, { flow: "browser" }],
  [{ ...OIDC, flow: "device", VM_OIDC_FLOW: "nonsense" }, { flow: "device" }],
  [{ ...OIDC, flow: "auto", VM_OIDC_FLOW: "browser" }, {}],

  // Credentials as options are not held against variables, nor half an API key.
  [{ ...OIDC, ...KEY_ENV }, {}],
  [{ ...OIDC, apiKey: "", apiSecret: " " }, {}],
  [{ issuer: BY_ENV.issuer, ...OIDC_ENV, ...KEY_ENV }, BY_ENV],
  [{ ...OIDC_ENV, VM_API_KEY: "k" }, BY_ENV],
];

/** What an API key comes to. Nobody is asked, so the variable for that is not read. */
const KEYS: [given: Record<string, unknown>, apiKey: string, apiSecret: string][] = [
  [{ ...KEY, ...OIDC_ENV, VM_OIDC_INTERACTIVE: "nonsense" }, "k", "s"],
  [{ apiKey: "env-key", ...KEY_ENV }, "env-key", "env-secret"],
  [KEY_ENV, "env-key", "env-secret"],
];

const nameOf = (given: Record<string, unknown>) =>
  Deno.inspect(given, { compact: true, breakLength: Infinity });

for (const [given, expected] of SESSION) {
  Deno.test(`options of a session: ${nameOf(given)}`, async () => {
    assertEquals<unknown>(await resolve(given, false), { ...USUAL, ...expected });
  });
}

for (const [given, apiKey, apiSecret] of KEYS) {
  Deno.test(`options of an API key: ${nameOf(given)}`, async () => {
    const { apiHost, timeoutMs } = USUAL;
    const expected = { kind: "api_key", apiKey, apiSecret, apiHost, interactive: false, timeoutMs };
    assertEquals<unknown>(await resolve(given, false), expected);
  });
}

Deno.test("options of init: the model's, and their defaults", async () => {
  const VM_API_HOST = "https://api.example.com/";
  const usual = { ...USUAL, apiHost: VM_API_HOST, monitoring: false };
  const byEnv = { ...usual, model: "env-model" };
  const init = (given: Record<string, unknown>) =>
    resolve({ VM_API_HOST, ...given }, true) as Promise<unknown>;
  assertEquals(await init({ ...OIDC, ...MODEL }), byEnv);
  const own = { model: "m", document: "d", monitoring: true };
  assertEquals(await init({ ...OIDC, ...MODEL, ...own }), { ...usual, ...own });
  const oidc = await init({ ...DOTS, document: "d", ...OIDC_ENV, ...MODEL });
  assertEquals(oidc, { ...byEnv, ...BY_ENV, document: "d" });
  const { issuer: _, clientId: _1, scope: _2, ...rest } = byEnv;
  const key = { kind: "api_key", apiKey: "env-key", apiSecret: "env-secret", interactive: false };
  assertEquals(await init({ ...DOTS, ...KEY_ENV, ...MODEL }), { ...rest, ...key });
});

Deno.test("options of init: an API of this computer is the default beside a provider of this computer", async () => {
  const local = { issuer: "http://127.0.0.1:9000", clientId: "c", ...MODEL };
  const { apiHost } = await resolve(local, true);
  assertEquals(apiHost, "http://localhost:5000/api/v1/tracking/");
});

Deno.test("options: a clock that is given measures the waits, too", () => {
  const now = () => 5;
  const given = resolveOptions({ ...OIDC, now, interactive: true }, "test", false).runtime;
  assertEquals([given.now, given.elapsed], [now, now]);
  const { now: usual, elapsed } =
    resolveOptions({ ...OIDC, interactive: true }, "test", false).runtime;
  assert(usual === Date.now && elapsed() <= performance.now(), "not since the epoch");
});

const BEARERS: [issuer: string, token: "access" | "id", bearer?: SessionOptions["bearer"]][] = [
  ["https://login.microsoftonline.com/common/v2.0", "id"],
  ["https://login.microsoftonline.us/tenant/v2.0", "id"],
  ["https://login.partner.microsoftonline.cn/tenant/v2.0", "id"],
  ["https://LOGIN.microsoftonline.com/tenant/v2.0", "id"],
  ["https://login.microsoftonline.com/common/v2.0", "access", "access_token"],
  ["https://login.microsoftonline.com.example.com/", "access"],
  ["https://example.com/login.microsoftonline.com", "access"],
  ["https://acme.auth0.com", "access"],
  ["https://acme.auth0.com", "id", "id_token"],
];

for (const [issuer, token, bearer = "auto"] of BEARERS) {
  Deno.test(`options: bearer ${bearer} at ${issuer} is the ${token} token`, async () => {
    const credentialsBackend = new MemoryCredentialsBackend();
    credentialsBackend.put(credentialKey(issuer, "app"), {
      issuer,
      client_id: "app",
      access_token: "access",
      id_token: "id",
      expires_at: "2099-01-01T00:00:00Z",
    });
    const options = { issuer, clientId: "app", scope: "openid", credentialsBackend, bearer };
    const session = await createSession({ ...options, interactive: false });
    assertEquals(await session.accessToken(), token);
  });
}
