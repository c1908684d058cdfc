import { assertEquals } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { json } from "../../support/http_server.ts";
import { scriptedProviderWorld, test } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

type Row = [who: string, code: string, description: string, words: string];

const ROWS: Row[] = [
  ["Entra", "invalid_client", "AADSTS7000218: The request body must", "Allow public client flows"],
  ["Entra", "access_denied", "AADSTS53003: Access has been blocked", "Conditional Access"],
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
  ["Keycloak", "invalid_request", "Pushed Authorization Request is only allowed", "RFC 9126"],
  ["Keycloak", "invalid_request", "DPoP proof is missing", "dpop: true"],
  ["Keycloak", "invalid_request", "DPoP proof is not active", "this computer's clock"],
  ["Google", "invalid_scope", "Some scopes were invalid: [offline_access]", "VM_OIDC_SCOPE"],
  ["any", "invalid_client", "", "clientKeyFile"],
  ["any", "interaction_required", "", "Sign in again"],
  ["any", "invalid_target", "", "Check audience"],
  ["any", "something_else", "whatever", "Check the options"],
  ["any", "constructor", "", "Check the options"],
  ["any", "__proto__", "", "Check the options"],
];

test("refusal: says what to do about it", async (world) => {
  for (const [who, code, error_description, words] of ROWS) {
    world.provider.script.device.push(() => json({ error: code, error_description }));
    const run = () => createSession({ ...world.options, scope: "openid" });
    const error = await rejectsWith("provider_refused", run, words);
    assertEquals(error.oauthError, code, who);
  }
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

test("refusal: a sentence of the provider keeps no full stop before ours", async (world) => {
  const refusal = { error: "invalid_scope", error_description: "No such scope." };
  world.provider.script.device.push(() => json(refusal, 400));
  const run = () => createSession({ ...world.options, scope: "x" });
  await rejectsWith("provider_refused", run, '(No such scope). The scope asked for was "x". Check');
});

test.signedIn("fault of the provider: its own words are told, without what they repeat", async ({ session, ...world }) => {
  world.provider.script.token.push((_, form) => {
    const error_description = `there is no such client (${form.get("refresh_token")})`;
    return json({ error: "server_error", error_description }, 500);
  });
  const said = "status 500 (server_error: there is no such client (";
  const run = () => session.accessToken({ forceRefresh: true });
  const error = await rejectsWith("provider_unavailable", run, said);
  assertNoSecret(error);
});

test("refusal: an ID token with a claim that is none is the provider's fault", async (world) => {
  const { provider } = world;
  for (const claims of [{ sub: 42 }, { exp: "soon" }, { aud: undefined }]) {
    const id_token = await provider.idToken(claims);
    provider.script.token.push(() => provider.tokens({ id_token }));
    const run = () => createSession(world.options);
    await rejectsWith("id_token_invalid", run, "claim", "ask who runs the provider");
  }
});

test("refusal: a discovery document that needs https: says so", async (world) => {
  const refusal = { error: "invalid_request", error_description: "HTTPS required" };
  world.provider.script.discovery.push(() => json(refusal, 403));
  const run = () => createSession(world.options);
  await rejectsWith("provider_unavailable", run, "403 (invalid_request: HTTPS required)");
});

Deno.test("refusal: discovery without an endpoint is told before a person is asked", async () => {
  for (const name of ["token_endpoint", "jwks_uri"]) {
    for (const flow of ["device", "browser"] as const) {
      await using world = await scriptedProviderWorld();
      const authorization_endpoint = `${world.provider.issuer}/authorize`;
      world.provider.discovery = { authorization_endpoint, [name]: undefined };
      const shown: unknown[] = [];
      const onAuthorizationUrl = (prompt: unknown) => void shown.push(prompt);
      const run = () => createSession({ ...world.options, flow, onAuthorizationUrl });
      await rejectsWith("provider_invalid", run, name);
      assertEquals([world.codes.length, shown.length], [0, 0]);
    }
  }
});
