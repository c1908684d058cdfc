import { assertEquals } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { json } from "../../support/http_server.ts";
import { scriptedProviderWorld } from "../../support/provider_world.ts";
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

for (const [who, code, description, words] of ROWS) {
  Deno.test(`refusal of ${who}: ${code} ${description.slice(0, 40)}: says what to do`, async () => {
    await using world = await scriptedProviderWorld();
    world.provider.script.device.push(() => json({ error: code, error_description: description }));
    const run = () => createSession({ ...world.options, scope: "openid" });
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
  const words = ["is its secret", "Enable the device code grant"];
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

Deno.test("refusal: a sentence of the provider keeps no full stop before ours", async () => {
  await using world = await scriptedProviderWorld();
  const refusal = { error: "invalid_scope", error_description: "No such scope." };
  world.provider.script.device.push(() => json(refusal, 400));
  const run = () => createSession({ ...world.options, scope: "x" });
  await rejectsWith("provider_refused", run, '(No such scope). The scope asked for was "x". Check');
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
  const error = await rejectsWith("provider_unavailable", run, said);
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
    await rejectsWith("id_token_invalid", run, "claim", "ask who runs the provider");
  });
}

Deno.test("refusal: a discovery document that needs https: says so", async () => {
  await using world = await scriptedProviderWorld();
  const refusal = { error: "invalid_request", error_description: "HTTPS required" };
  world.provider.script.discovery.push(() => json(refusal, 403));
  const run = () => createSession(world.options);
  await rejectsWith("provider_unavailable", run, "403 (invalid_request: HTTPS required)");
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
      await rejectsWith("provider_invalid", run, name);
      assertEquals([world.codes.length, shown.length], [0, 0]);
    });
  }
}
