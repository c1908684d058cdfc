import { createSession, type ValidMindAuthErrorCode } from "@validmind/auth";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { oauthError } from "../../support/scripted_provider.ts";
import { paths } from "../../support/request_log.ts";
import { renew, scriptedProviderWorld, test } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { json } from "../../support/http_server.ts";
import { checkEndpoint } from "../../../client/provider/discovery.ts";
import { assertEquals, assertMatch } from "@std/assert";

test("provider: no discovery document is a wrong issuer", async (world) => {
  const answers = [
    () => new Response("Not found", { status: 404 }),
    () => oauthError("invalid_tenant"), // Microsoft Entra
  ];
  for (const answer of answers) {
    world.provider.script.discovery.push(answer);
    const run = () => world.signIn();
    await rejectsWith("provider_invalid", run, world.provider.issuer, "Check the issuer");
  }
});

Deno.test("provider: the other issuer is told, and what to give at Entra", async () => {
  const issuer = "https://login.microsoftonline.com/contoso.com/v2.0";
  const stated = "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0";
  await using world = await scriptedProviderWorld({ issuer, discovery: { issuer: stated } });
  const words = [stated, "https://login.microsoftonline.com/<tenant id>/v2.0"];
  const run = () => world.signIn({ fetch: world.provider.fetch });
  await rejectsWith("provider_invalid", run, ...words);
});

test.signedIn("provider: a session's discovery that failed is asked again, one that worked is not", async ({ session, ...world }) => {
  const forced = () => renew(session);
  const started = await world.signIn({ interactive: false });
  world.provider.reset();
  world.provider.script.discovery.push(() => new Response("busy", { status: 503 }));
  const run = () => started.accessToken({ forceRefresh: true });
  await rejectsWith("provider_unavailable", run, "503");
  await run();
  await run();
  await forced();
  const discoveries = paths(world.provider.requests).filter((path) => path.startsWith("/.well"));
  assertEquals(discoveries.length, 2);
});

test("provider: without a device endpoint there is no device flow", async (world) => {
  world.provider.discovery = { device_authorization_endpoint: undefined };
  const run = () => world.signIn({ flow: "device" });
  await rejectsWith("device_flow_unsupported", run, world.provider.issuer, "Set flow");
  const auto = () => world.signIn({ onAuthorizationUrl() {} });
  const words = [
    "no device flow that takes this request. flow: ",
    "cannot take its place: the provider offers no sign-in",
  ];
  await rejectsWith("device_flow_unsupported", auto, ...words);
});

test("provider: a refusal tells code, words and issuer, and carries no answer", async (world) => {
  const headers = { "www-authenticate": "Basic" };
  world.provider.script.device.push(() => oauthError("invalid_client", 401, headers));
  const words = "the provider answered invalid_client (scripted: invalid_client)";
  const run = () => world.signIn();
  const error = await rejectsWith("provider_refused", run, `${world.provider.issuer}: ${words}`);
  assertEquals([error.oauthError, error.cause], ["invalid_client", undefined]);
});

const BROKEN: Record<string, unknown>[] = [{ access_token: 5 }, { refresh_token: { a: 1 } }];

test("provider: an answer that lacks what it must have is refused, and not shown", async (world) => {
  const { provider } = world;
  const tokens = { access_token: "secret-access", refresh_token: "secret-refresh" };
  const refused = async (word: string) => {
    const error = await rejectsWith("provider_invalid", () => world.signIn(), word);
    assertEquals(error.cause, undefined);
    assertNoSecret(error, Object.values(tokens));
  };
  for (const broken of BROKEN) {
    provider.script.token.push(() => provider.tokens({ ...tokens, ...broken }));
    await refused("protocol");
  }
  for (const name of ["device_code", "user_code", "verification_uri"]) {
    provider.script.device.push(() => provider.device({ [name]: undefined }));
    await refused("");
  }
});

type Row = [who: string, code: string, description: string, words: string];

const ROWS: Row[] = [
  ["Entra", "invalid_client", "AADSTS7000218: The request body must", "Allow public client flows"],
  ["Entra", "access_denied", "AADSTS53003: Access has been blocked", "Conditional Access"],
  ["Entra", "access_denied", "AADSTS530032: Blocked by security policy", "Conditional Access"],
  ["Entra", "invalid_grant", "AADSTS700082: The refresh token has", "Sign in again"],
  ["Okta", "access_denied", "Policy evaluation failed for this request", "access policy"],
  ["Okta", "unauthorized_client", "The client is not authorized to use", "device code grant"],
  [
    "oidc-provider",
    "invalid_request",
    "urn:ietf:params:oauth:grant-type:device_code is not allowed for this client",
    "Enable the device code grant",
  ],
  [
    "Keycloak",
    "unauthorized_client",
    "Invalid client or Invalid client credentials",
    "Client authentication off",
  ],
  ["Keycloak", "not_allowed", "Offline tokens not allowed for the user", "offline_access"],
  ["pyop", "invalid_request", "consent in prompt", "prompt=consent"],
  ["Keycloak", "invalid_request", "Pushed Authorization Request is only allowed", "RFC 9126"],
  ["Keycloak", "invalid_request", "DPoP proof is missing", "dpop: true"],
  ["Keycloak", "invalid_request", "DPoP proof is not active", "this computer's clock"],
  ["Google", "invalid_scope", "Some scopes were invalid: [offline_access]", "VM_OIDC_SCOPE"],
  ["any", "invalid_scope", "No.", '(No). The scope asked for was "openid". Check'],
  ["any", "invalid_client", "", "clientKeyFile"],
  ["Glewlwyd", "unauthorized_client", "", "clientKeyFile"],
  ["any", "interaction_required", "", "Sign in again"],
  ["LemonLDAP::NG", "consent_required", "consent required", "Sign in again"],
  ["any", "invalid_target", "", "Check audience"],
  ["any", "something_else", "whatever", "Check the options"],
  ["any", "constructor", "", "Check the options"],
  ["any", "__proto__", "", "Check the options"],
];

test("refusal: says what to do about it", async (world) => {
  for (const [who, code, error_description, words] of ROWS) {
    world.provider.script.device.push(() => json({ error: code, error_description }));
    const run = () => world.signIn({ scope: "openid" });
    const error = await rejectsWith("provider_refused", run, words);
    assertEquals(error.oauthError, code, who);
  }
});

test.signedIn("refusal: a revocation does not doubt the client that has signed in", async ({ session, provider }) => {
  provider.script.revocation.push(() => oauthError("invalid_client"));
  const { reason } = await session.clear({ revoke: true });
  assertMatch(
    `${reason}`,
    /answered invalid_client \(.*\)\. Have revocation allowed for this client\.$/,
  );
});

const CLIENT: [code: string, description: string, ...words: string[]][] = [
  ["invalid_client", "", "clientSecret (VM_OIDC_CLIENT_SECRET"],
  ["unauthorized_client", "Invalid client or Invalid client credentials", "clientSecret (VM_"],
  ["unauthorized_client", "", "Enable the device code grant"],
];

test("refusal of a client with a secret: the secret is doubted", async (world) => {
  const { script } = world.provider;
  const options = { ...world.options, clientSecret: "x9-Qwz7-Pk4-Lm2" };
  for (const [error, error_description, ...words] of CLIENT) {
    script.device.push(() => json({ error, error_description }, 400));
    await rejectsWith("provider_refused", () => createSession(options), "is its secret", ...words);
  }
  // Where nobody is there, nothing is said about the grant.
  const refusal = { error: "unauthorized_client", error_description: "Invalid client credentials" };
  script.token.push(() => json(refusal, 401));
  const { onDeviceCode: _, ...job } = { ...options, flow: "client_credentials" } as const;
  const { message } = await rejectsWith("provider_refused", () => createSession(job), "its secret");
  assertEquals(message.includes("credentials grant"), false);
});

test.signedIn("fault of the provider: its own words are told, without what they repeat", async ({ session, ...world }) => {
  world.provider.script.token.push((_, form) => {
    const error_description = `there is no such client (${form.get("refresh_token")})`;
    return json({ error: "server_error", error_description }, 500);
  });
  const said = "status 500 (server_error: there is no such client (";
  const error = await rejectsWith("provider_unavailable", () => renew(session), said);
  assertNoSecret(error);
});

test("refusal: an ID token with a claim that is none is the provider's fault", async (world) => {
  const { provider } = world;
  for (const claims of [{ sub: 42 }, { exp: "soon" }, { aud: undefined }]) {
    const id_token = await provider.idToken(claims);
    provider.script.token.push(() => provider.tokens({ id_token }));
    const run = () => world.signIn();
    await rejectsWith("id_token_invalid", run, "claim", "ask the provider's administrator");
  }
});

test("refusal: a discovery document that needs https: says so", async (world) => {
  const refusal = { error: "invalid_request", error_description: "HTTPS required" };
  world.provider.script.discovery.push(() => json(refusal, 403));
  const run = () => world.signIn();
  await rejectsWith("provider_unavailable", run, "403 (invalid_request: HTTPS required)");
});

Deno.test("refusal: an ID token that nobody asked for has to have keys, too", async () => {
  await using world = await scriptedProviderWorld();
  world.provider.discovery = { jwks_uri: undefined };
  const run = () => world.signIn({ scope: "profile" });
  await rejectsWith("provider_invalid", run, "the jwks_uri in its discovery document");
});

Deno.test("refusal: discovery without an endpoint is told before a person is asked", async () => {
  for (const name of ["token_endpoint", "jwks_uri"]) {
    for (const [flow, absent] of [["device", undefined], ["browser", null]] as const) {
      await using world = await scriptedProviderWorld();
      const authorization_endpoint = `${world.provider.issuer}/authorize`;
      world.provider.discovery = { authorization_endpoint, [name]: absent };
      const shown: unknown[] = [];
      const onAuthorizationUrl = (prompt: unknown) => void shown.push(prompt);
      const run = () => world.signIn({ flow, onAuthorizationUrl });
      await rejectsWith("provider_invalid", run, `the ${name} in its discovery document`);
      assertEquals([world.codes.length, shown.length], [0, 0]);
    }
  }
});

const ISSUER = "https://login.example.com";
const LOCAL = "http://127.0.0.1:8080";

const GOOD: [issuer: string, url: unknown][] = [
  [ISSUER, "https://login.example.com/x"],
  [ISSUER, "https://other.example.com:8443/x?tenant=a"],
  [LOCAL, "http://127.0.0.1:8080/x"],
  [LOCAL, "http://localhost:9090/x"],
  [LOCAL, "https://login.example.com/x"],
];

const BAD: [issuer: string, url: unknown, code: ValidMindAuthErrorCode][] = [
  [ISSUER, "http://login.example.com/x", "insecure_url"],
  [ISSUER, "http://127.0.0.1/x", "insecure_url"],
  [ISSUER, "http://localhost:8080/x", "insecure_url"],
  [LOCAL, "http://login.example.com/x", "insecure_url"],
  [ISSUER, "javascript:alert(1)", "provider_invalid"],
  [ISSUER, "data:application/json,{}", "provider_invalid"],
  [ISSUER, "/token", "provider_invalid"],
  [ISSUER, "", "provider_invalid"],
  [ISSUER, 5, "provider_invalid"],
  [ISSUER, ["https://login.example.com/x"], "provider_invalid"],
  [ISSUER, "https://user:pass@login.example.com/x", "provider_invalid"],
  [ISSUER, "https://:pass@login.example.com/x", "provider_invalid"],
];

Deno.test("checkEndpoint: https, and on loopback http for an issuer that is there", async () => {
  for (const [issuer, url] of GOOD) checkEndpoint("jwks_uri", url, issuer);
  for (const [issuer, url, code] of BAD) {
    await rejectsWith(code, () => checkEndpoint("jwks_uri", url, issuer), issuer, "jwks_uri");
  }
});

/** The issuer in a document at the place of RFC 8414, which the root of the host answers for. */
const ELSEWHERE: [what: string, stated: (issuer: string) => string, isTaken: boolean][] = [
  ["its own issuer", (issuer) => issuer, true],
  ["another tenant's issuer", (issuer) => issuer.replace("acme", "evil"), false],
  ["the host as the issuer", (issuer) => new URL(issuer).origin, false],
  ["the issuer with a slash", (issuer) => `${issuer}/`, false],
];

for (const [what, stated, isTaken] of ELSEWHERE) {
  Deno.test(`discovery at the place of RFC 8414, with ${what}: ${isTaken ? "taken" : "refused"}`, async () => {
    await using world = await scriptedProviderWorld({ path: "/realms/acme" });
    const { provider } = world;
    provider.discovery = { issuer: stated(provider.issuer) };
    const place = "/.well-known/oauth-authorization-server/realms/acme";
    const places: string[] = [];
    const fetchThere = (input: string | URL | Request, init?: RequestInit) => {
      const url = new URL(String(input));
      if (!url.pathname.includes("/.well-known/")) return fetch(input, init);
      places.push(url.pathname);
      const document = `${provider.issuer}/.well-known/openid-configuration`;
      if (url.pathname === place) return fetch(document, init);
      return Promise.resolve(new Response(null, { status: 404 }));
    };
    const run = () => world.signIn({ fetch: fetchThere });
    if (isTaken) await (await run()).close();
    else await rejectsWith("provider_invalid", run, "names another issuer");
    assertEquals(places, ["/realms/acme/.well-known/openid-configuration", place]);
  });
}
