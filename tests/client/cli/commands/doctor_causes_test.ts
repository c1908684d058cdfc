import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { assertNoSecret } from "../../../support/assert_no_secret.ts";
import { json, oauthError } from "../../../support/scripted_provider.ts";
import { BY_KEY, ENDED, runHere } from "../cli_world.ts";
import {
  all,
  answer,
  browser,
  clock,
  deadUrl,
  discovery,
  type DoctorWorld,
  doctorWorld,
  env,
  file,
  HTML,
  job,
  secret,
  type SetUp,
  stored,
  untrustedHost,
} from "../doctor_world.ts";

// The README says that the doctor finds the cause of a failed sign-in or call. These set-ups hold it to that.

/** A set-up, and the words of its cause. `by` is the command that names the cause without a doctor. */
type Row = readonly [what: string, cause: string, setUp: SetUp, by?: string];

const device = env({ VM_OIDC_FLOW: "device" });
const exchange = all(env({ VM_OIDC_FLOW: "token_exchange" }), secret);
const withApi: SetUp = ({ api, env }) => void (env.VM_API_HOST = api.apiHost);
const flags = (...more: string[]): SetUp => ({ flags }) => void flags.push(...more);
/** Lets an endpoint refuse each request so. */
const refusal = (endpoint: "device" | "token", error: string, status?: number) =>
  answer(endpoint, () => oauthError(error, status));
const unknown = (endpoint: "device" | "token") => refusal(endpoint, "invalid_client", 401);
const notFor = (endpoint: "device" | "token") => refusal(endpoint, "unauthorized_client");
/** Names an endpoint at which nobody answers. */
const dead = (endpoint: string): SetUp => (world) => discovery({ [endpoint]: deadUrl() })(world);

const NO_STORE = env({ VM_OIDC_CREDENTIALS_BACKEND: "fil" });
const SETTINGS: Row[] = [
  ["no issuer", "Give issuer", env({ VM_OIDC_ISSUER: "" })],
  ["no client", "Give clientId", env({ VM_OIDC_CLIENT_ID: "" })],
  ["neither", "Set issuer (VM_OIDC_ISSUER", env({ VM_OIDC_CLIENT_ID: "", VM_OIDC_ISSUER: "" })],
  ["a flow that there is not", "VM_OIDC_FLOW", env({ VM_OIDC_FLOW: "browsr" })],
  ["an issuer without TLS", "clear text", env({ VM_OIDC_ISSUER: "http://login.example.com" })],
  ["an issuer with a query", "query", env({ VM_OIDC_ISSUER: "https://login.example.com?a" })],
  ["an API without TLS", "clear text", env({ VM_API_HOST: "http://api.example.com" })],
  ["an API key as well", "an API key and OIDC", env({ VM_API_KEY: "k", VM_API_SECRET: "s" })],
  ["a store that there is not", "neither a built-in name", NO_STORE],
  ["a settings file that is damaged", "JSON", file("VM_AUTH_CONFIG", "{")],
  ["two proofs", "exclude each other", all(secret, env({ VM_OIDC_CLIENT_KEY_FILE: "/k" }))],
  ["a redirect URI elsewhere", "redirectUri", all(browser, env({ VM_OIDC_REDIRECT_URI: "x:" }))],
];

const ANOTHER = flags("--client-id", "another", "--flow", "client_credentials");
const FOLDER: SetUp = ({ home, env }) => void (env.VM_OIDC_CLIENT_SECRET_FILE = home);
const PROOFS: Row[] = [
  ["no secret file", "SECRET_FILE", all(job, env({ VM_OIDC_CLIENT_SECRET_FILE: "/no/file" }))],
  ["the same, with a person", "SECRET_FILE", env({ VM_OIDC_CLIENT_SECRET_FILE: "/no/file" })],
  ["a folder in the place of a file", "SECRET_FILE", all(job, FOLDER)],
  ["an empty secret file", "it is empty", all(job, file("VM_OIDC_CLIENT_SECRET_FILE", ""))],
  ["a bad key file", "not a private key", all(job, file("VM_OIDC_CLIENT_KEY_FILE", "{}"))],
  ["the same, with a person", "not a private key", file("VM_OIDC_CLIENT_KEY_FILE", "{}")],
  ["no proof", "the client has no proof", job],
  ["a secret of another client", "clientSecret", all(secret, ANOTHER)],
  ["no JWT", "it is not one JWT", all(job, file("VM_OIDC_CLIENT_ASSERTION_FILE", "a.b"))],
  ["no job of GitHub", "are not both set", all(job, env({ VM_OIDC_CLIENT_ASSERTION: "github" }))],
  ["a wrong secret of a job", "invalid_client", all(job, secret, unknown("token"))],
  ["a wrong secret, with a person", "invalid_client", all(secret, unknown("device"))],
  ["a secret that the token endpoint alone wants", "invalid_client", unknown("token")],
];

const NO_DEVICE = { device_authorization_endpoint: undefined };
const PLAIN = discovery({ code_challenge_methods_supported: ["plain"] });
const PUSHED: SetUp = async (world) => {
  Object.assign(world.provider.discovery, {
    require_pushed_authorization_requests: true,
    pushed_authorization_request_endpoint: `${world.provider.issuer}/device`,
  });
  await refusal("device", "invalid_request")(world);
};
const CLEAR = answer("device", (provider) => provider.device({ verification_uri: "http://a.b" }));
const TOKEN = all(exchange, file("VM_OIDC_SUBJECT_TOKEN_FILE", "token"));
const NO_TOKEN = all(exchange, env({ VM_OIDC_SUBJECT_TOKEN_FILE: "/no/file" }));
const OTHER = answer("token", (provider) => provider.exchanged({ issued_token_type: "other" }));
const MORE = env({ VM_OIDC_SCOPE: "openid all" });
const FLOWS: Row[] = [
  ["no device flow", "offers no device flow", all(device, discovery(NO_DEVICE))],
  ["neither flow", "offers no sign-in with a code in the browser", discovery(NO_DEVICE)],
  ["no browser flow", "offers no sign-in with a code", env({ VM_OIDC_FLOW: "browser" })],
  ["no PKCE", "PKCE", all(browser, PLAIN)],
  [
    "a device flow that the client may not use",
    "unauthorized_client",
    all(device, notFor("device")),
  ],
  ["the same, without a browser", "unauthorized_client", notFor("device")],
  ["a scope that is not to be had", "invalid_scope", all(MORE, refusal("device", "invalid_scope"))],
  ["a pushed request that is refused", "invalid_request", all(browser, PUSHED)],
  ["a page without TLS", "is not an https: page", CLEAR],
  ["a limit", "status 429", refusal("device", "slow", 429)],
  ["no DPoP", "no DPoP with ES256", flags("--dpop")],
  ["no subject token", "no file is named", exchange],
  ["no file with a subject token", "TOKEN_FILE", NO_TOKEN],
  [
    "an exchange that is refused",
    "access_denied",
    all(TOKEN, refusal("token", "access_denied", 403)),
  ],
  ["an exchange for another type of token", "issued_token_type", all(TOKEN, OTHER)],
  ["a job that the client may not run", "unauthorized_client", all(job, secret, notFor("token"))],
];

const NO_TOKENS = discovery({ token_endpoint: undefined });
const ENDPOINTS: Row[] = [
  ["nothing answers", "nothing answers", (world) => void (world.env.VM_OIDC_ISSUER = deadUrl())],
  ["another issuer", "another issuer", discovery({ issuer: "https://b.example" })],
  ["no provider", "it has neither", answer("discovery", HTML)],
  ["an ill provider", "status 503", answer("discovery", () => json({}, 503))],
  ["no token endpoint", "the token_endpoint in its", NO_TOKENS],
  ["the same for a job", "token_endpoint", all(job, secret, NO_TOKENS)],
  ["no keys' address", "the jwks_uri in its", discovery({ jwks_uri: undefined })],
  ["an endpoint without TLS", "clear text", discovery({ token_endpoint: "http://a.example/" })],
  ["a dead token host", "nothing answers", dead("token_endpoint")],
  ["a dead device host", "nothing answers", dead("device_authorization_endpoint")],
  ["a wrong token path", "status 404", answer("token", HTML)],
  ["a token host of an unknown authority", "its certificate is not trusted", untrustedHost],
];

const NONE_SIGNS = answer(
  "jwks",
  ({ signingKey }) => json({ keys: [{ ...signingKey.publicJwk, use: "enc" }] }),
);
const KEYS: Row[] = [
  ["a dead host", "nothing answers", dead("jwks_uri")],
  ["none", "its signature fits no key", answer("jwks", () => json({ keys: [] }))],
  ["none that signs", "its signature fits no key", NONE_SIGNS],
  ["an address without TLS", "clear text", discovery({ jwks_uri: "http://login.example.com/" })],
];

const CLOCKS: Row[] = [
  ["an hour behind", "clock", clock(60)],
  ["two hours ahead", "clock", clock(-120)],
];

const DAMAGED = async ({ home }: DoctorWorld) => {
  await Deno.mkdir(`${home}/.validmind`, { mode: 0o700 });
  await Deno.writeTextFile(`${home}/.validmind/credentials.json`, "{damaged", { mode: 0o600 });
};
const NO_FOLDER: SetUp = ({ home }) => Deno.writeTextFile(`${home}/.validmind`, "");
const UNSET = env({
  VM_OIDC_CREDENTIALS_BACKEND: "file",
  VM_OIDC_CREDENTIALS_BACKEND_KWARGS: '{"path": "${NOWHERE}/x"}',
});
const STORES: Row[] = [
  ["damaged", "credentials.json", DAMAGED],
  ["a file in the folder's place", ".validmind", NO_FOLDER],
  ["of this process alone", "only while this program runs", env({ VM_OIDC_NO_PERSIST: "1" })],
  ["without a variable", "NOWHERE", UNSET],
];

const REFRESH = "token --refresh";
const ended = stored({ expires_at: ENDED });
const ILL = answer("token", () => json({}, 503));
const GRANTS: Row[] = [
  ["dead", "invalid_grant", ended, REFRESH],
  ["the client is off", "invalid_client", all(ended, unknown("token")), REFRESH],
  ["the provider is ill", "status 503", all(ended, ILL), REFRESH],
];

const PING = "api ping";
const script = (status: number): SetUp => ({ api }) => {
  for (let n = 0; n < 9; n++) api.script.push(() => json({ error: "no" }, status));
};
const renewable = answer("token", (provider) => provider.tokens());
const noApi: SetUp = (world) => void (world.env.VM_API_HOST = deadUrl());
const APIS: Row[] = [
  ["refuses the token", "answered 401", all(withApi, stored(), renewable, script(401)), PING],
  ["forbids it", "answered 403", all(withApi, stored(), script(403)), PING],
  ["is ill", "answered 500", all(withApi, stored(), script(500)), PING],
  ["is dead", "nothing answers", all(noApi, stored()), PING],
  ["refuses the key", "answered 401", all(withApi, env(BY_KEY)), PING],
];

/** The name of a kind, and its rows. */
const KINDS = { SETTINGS, PROOFS, FLOWS, ENDPOINTS, KEYS, CLOCKS, STORES, GRANTS, APIS };

function causeTest(kind: string, [what, cause, setUp, by = "login"]: Row): void {
  Deno.test(`doctor names the cause that ${by} names: ${kind.toLowerCase()}: ${what}`, async () => {
    await using stack = new AsyncDisposableStack();
    const world = await doctorWorld(stack);
    await setUp(world);
    const { env, flags } = world;
    const command = await runHere([...by.split(" "), ...flags], env);
    if (by === REFRESH) await setUp(world); // a dead grant is removed
    const refresh = by === REFRESH ? ["--refresh"] : [];
    const doctor = await runHere(["doctor", "--json", ...refresh, ...flags], env);
    assertNoSecret(doctor.stdout + doctor.stderr);
    const { checks, ok } = JSON.parse(doctor.stdout);
    const failed = checks.filter(({ result }: { result: string }) => result === "fail");
    assertStringIncludes(command.stderr, cause);
    assert(command.code > 0);
    assertEquals([ok, doctor.code], [false, 1], doctor.stdout + command.stderr);
    const words = failed.map(({ message }: { message: string }) => message).join("\n");
    assertStringIncludes(words, cause, command.stderr);
    const [, code = ""] = /^error \((\w+)\)/m.exec(command.stderr) ?? [];
    // The end of the code hides why no poll was answered.
    const expected = code === "device_code_expired" ? "provider_unavailable" : code;
    assertEquals(failed[0].code, expected);
  });
}

for (const [kind, rows] of Object.entries(KINDS)) for (const row of rows) causeTest(kind, row);
