import { assertEquals, assertStringIncludes } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { refusalHint } from "../../../client/provider/error.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { json } from "../../support/http_server.ts";
import { scriptedProviderWorld } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

type Row = [who: string, code: string, description: string, words: string];

const ROWS: Row[] = [
  ["Entra", "invalid_client", "AADSTS7000218: The request body must", "Allow public client flows"],
  ["Entra", "unauthorized_client", "AADSTS700016: Application with", "in which the app is regis"],
  ["Entra", "invalid_request", "AADSTS90002: Tenant 'x' not found.", "the tenant in the issuer"],
  [
    "Entra",
    "invalid_request",
    "AADSTS50194: Application 'x' is not",
    "accounts of one tenant only",
  ],
  ["Entra", "invalid_grant", "AADSTS50020: User account 'x' from", "account of this tenant"],
  ["Entra", "invalid_grant", "AADSTS50105: The signed in user is not", "assign you to the app"],
  ["Entra", "invalid_grant", "AADSTS65001: The user or administrator", "consent to the app"],
  ["Entra", "access_denied", "AADSTS53003: Access has been blocked", "Conditional Access"],
  ["Entra", "invalid_scope", "AADSTS70011: The provided value for", "Check scope"],
  ["Entra", "invalid_resource", "AADSTS500011: The resource principal", "this API in the tenant"],
  ["Entra", "invalid_grant", "AADSTS700082: The refresh token has", "Sign in again"],
  ["Entra", "bad_verification_code", "AADSTS70018", "Sign in again"],
  [
    "Auth0",
    "unauthorized_client",
    "Grant type 'urn:ietf:params:oauth:grant-type:device_code' not allowed for the client.",
    "grant type Device Code",
  ],
  ["Auth0", "access_denied", "Service not found: https://api.example.com", "Check audience"],
  ["Okta", "access_denied", "Policy evaluation failed for this request", "access policy"],
  ["Okta", "unauthorized_client", "The client is not authorized to use", "device code grant"],
  [
    "Keycloak",
    "unauthorized_client",
    "Client is not allowed to initiate OAuth 2.0 Device Authorization Grant. " +
    "The flow is disabled for the client.",
    "Switch on OAuth 2.0 Device",
  ],
  [
    "Keycloak",
    "unauthorized_client",
    "Invalid client or Invalid client credentials",
    "Client authentication is off",
  ],
  [
    "Keycloak",
    "not_allowed",
    "Offline tokens not allowed for the user or client",
    "offline_access",
  ],
  [
    "Keycloak",
    "unauthorized_client",
    "Invalid client or Invalid client credentials",
    "VM_OIDC_CLIENT_SECRET",
  ],
  [
    "Keycloak",
    "unauthorized_client",
    "Client is not allowed to initiate browser login with given response_type. Standard flow is " +
    "disabled for the client.",
    'Switch on Standard flow in the Keycloak client\'s settings, or set flow: "device"',
  ],
  ["Keycloak", "invalid_request", "DPoP proof is missing", "dpop: true"],
  ["Keycloak", "invalid_request", "DPoP proof is not active", "this computer's clock"],
  ["Keycloak", "invalid_request", "HTTPS required", "with https:"],
  ["Authlib", "invalid_request", "There is no 'user' for this token.", "may be switched off"],
  ["zitadel/oidc", "invalid_request", "client not found", "Check clientId"],
  ["any", "unauthorized_client", "The client is disabled", "Have the client enabled"],
  ["any", "invalid_client", "", "clientKeyFile"],
  ["Google", "invalid_request", "client_secret is missing.", "VM_OIDC_CLIENT_SECRET"],
  ["Google", "invalid_client", "Invalid client type.", "Limited Input devices"],
  ["Google", "invalid_scope", "Invalid device flow scope: x", "openid email profile"],
  ["Google", "invalid_scope", "Some scopes were invalid: [offline_access]", "VM_OIDC_SCOPE"],
  ["any", "invalid_request", "Missing parameter: code_challenge_method", "S256"],
  ["any", "invalid_client", "", "public client"],
  ["any", "interaction_required", "", "Sign in again"],
  ["any", "invalid_target", "", "Check audience"],
  ["any", "something_else", "whatever", "documentation of this error"],
  ["any", "constructor", "", "documentation of this error"],
  ["any", "__proto__", "", "documentation of this error"],
];

for (const [who, code, description, words] of ROWS) {
  Deno.test(`refusal of ${who}: ${code} ${description.slice(0, 40)}: says what to do`, async () => {
    assertStringIncludes(refusalHint(code, description), words);
    await using world = await scriptedProviderWorld();
    world.provider.script.device.push(() => json({ error: code, error_description: description }));
    const run = () => createSession(world.options);
    const error = await rejectsWith("provider_refused", run, words);
    assertEquals(error.oauthError, code);
  });
}

for (
  const [code, description] of [
    ["invalid_client", ""],
    ["unauthorized_client", "Invalid client or Invalid client credentials"],
  ] as const
) {
  Deno.test(`refusal of a client with a secret: ${code}: the secret is doubted`, async () => {
    await using world = await scriptedProviderWorld();
    world.provider.script.device.push(() => json({ error: code, error_description: description }));
    const run = () => createSession({ ...world.options, clientSecret: "x9-Qwz7-Pk4-Lm2" });
    await rejectsWith(
      "provider_refused",
      run,
      "clientSecret (VM_OIDC_CLIENT_SECRET",
      "is its secret",
    );
  });
}

Deno.test("refusal of a client with a secret: unauthorized_client without a word: both doubts", async () => {
  await using world = await scriptedProviderWorld();
  world.provider.script.device.push(() => json({ error: "unauthorized_client" }, 400));
  const run = () => createSession({ ...world.options, clientSecret: "x9-Qwz7-Pk4-Lm2" });
  const words = ["is its secret", "A public client takes none. Enable the device code grant"];
  await rejectsWith("provider_refused", run, ...words);
});

Deno.test("refusal of a wrong secret, where nobody is there: nothing is said about the grant", async () => {
  await using world = await scriptedProviderWorld();
  const refusal = { error: "unauthorized_client", error_description: "Invalid client credentials" };
  world.provider.script.token.push(() => json(refusal, 401));
  const { onDeviceCode: _, ...options } = world.options;
  const job = { ...options, flow: "client_credentials", clientSecret: "x9-Qwz7-Pk4-Lm2" } as const;
  const error = await rejectsWith("provider_refused", () => createSession(job), "is its secret");
  assertEquals(error.message.includes("credentials grant"), false);
});

Deno.test("refusal of the first tokens by invalid_grant: DPoP is named where it is not used", async () => {
  await using world = await scriptedProviderWorld();
  world.provider.script.token.push(() => json({ error: "invalid_grant" }, 400));
  const run = () => createSession(world.options);
  await rejectsWith("provider_refused", run, "Sign in again. If that is refused too", "dpop: true");
});

Deno.test("refusal: a sentence of the provider keeps no full stop before ours", async () => {
  await using world = await scriptedProviderWorld();
  const refusal = { error: "invalid_scope", error_description: "No such scope." };
  world.provider.script.device.push(() => json(refusal, 400));
  const run = () => createSession(world.options);
  await rejectsWith("provider_refused", run, "(No such scope). Check scope");
});

Deno.test("fault of the provider: its own words are told, without what they repeat", async () => {
  await using world = await scriptedProviderWorld();
  const session = await createSession(world.options);
  world.provider.script.token.push((_, form) => {
    const error_description = `there is no such client (${form.get("refresh_token")})`;
    return json({ error: "server_error", error_description }, 500);
  });
  const said = "status 500 (server_error: there is no such client (";
  const run = () => session.accessToken({ forceRefresh: true });
  const error = await rejectsWith("provider_unavailable", run, said, "Check clientId");
  assertNoSecret(error);
});

for (
  const [what, claims] of [
    ["a sub that is a number", { sub: 42 }],
    ["an end in words", { exp: "soon" }],
    ["no audience", { aud: undefined }],
  ] as const
) {
  Deno.test(`refusal: an ID token with ${what}: is the provider's fault`, async () => {
    await using world = await scriptedProviderWorld();
    const { provider } = world;
    const id_token = await provider.idToken(claims);
    provider.script.token.push(() => provider.tokens({ id_token }));
    const run = () => createSession(world.options);
    await rejectsWith("id_token_invalid", run, "claim", "its ID tokens break the protocol");
  });
}

Deno.test("refusal: an issuer that a provider behind a proxy takes for http: is its setting", async () => {
  const issuer = "https://login.example.com";
  const discovery = { issuer: "http://login.example.com" };
  await using world = await scriptedProviderWorld({ issuer, discovery });
  const run = () => createSession({ ...world.options, fetch: world.provider.fetch });
  await rejectsWith("provider_invalid", run, "another issuer, http:", "X-Forwarded-Proto");
});

Deno.test("refusal: a discovery document that needs https: says so", async () => {
  await using world = await scriptedProviderWorld();
  const refusal = { error: "invalid_request", error_description: "HTTPS required" };
  world.provider.script.discovery.push(() => json(refusal, 403));
  const run = () => createSession(world.options);
  await rejectsWith("provider_unavailable", run, "403 (invalid_request: HTTPS required)", "https:");
});

for (const name of ["token_endpoint", "jwks_uri"]) {
  for (const flow of ["device", "browser"] as const) {
    Deno.test(`discovery without ${name}: is said before a person is asked, ${flow}`, async () => {
      await using world = await scriptedProviderWorld();
      world.provider.discovery = {
        authorization_endpoint: `${world.provider.issuer}/authorize`,
        [name]: undefined,
      };
      const shown: unknown[] = [];
      const onAuthorizationUrl = (prompt: unknown) => void shown.push(prompt);
      const run = () => createSession({ ...world.options, flow, onAuthorizationUrl });
      await rejectsWith("provider_invalid", run, `no ${name}`);
      assertEquals([world.codes.length, shown.length], [0, 0]);
    });
  }
}

Deno.test("refusal: a hint without a description goes by the code alone", () => {
  assertEquals(refusalHint("invalid_grant"), "Sign in again.");
});
