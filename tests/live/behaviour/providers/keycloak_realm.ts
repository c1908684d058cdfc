import type { SigningKey } from "../../../support/jwt.ts";

export const REALM = "matrix";
export const USER = "analyst";
export const PASSWORD = "a-password";
/** The secret of the client with a secret. */
export const SECRET = "a-secret-of-the-client";

/** Lets a client exchange the tokens of the clients that have this, or ask about them. */
export function audienceOf(client: string) {
  return {
    name: `audience ${client}`,
    protocol: "openid-connect",
    protocolMapper: "oidc-audience-mapper",
    config: { "included.client.audience": client, "access.token.claim": "true" },
  };
}

/** A person, as Keycloak takes it. */
export function person(username: string, password: string) {
  return {
    username,
    enabled: true,
    email: `${username}@example.com`,
    emailVerified: true,
    firstName: "Ada",
    lastName: "Analyst",
    credentials: [{ type: "password", value: password, temporary: false }],
  };
}

/**
 * The realm with its clients, as Keycloak takes it: one of each kind, and those of Keycloak's own rows.
 * `key` is that of the client with a key.
 */
export function realm(key: SigningKey) {
  return {
    realm: REALM,
    enabled: true,
    sslRequired: "none",
    revokeRefreshToken: true,
    refreshTokenMaxReuse: 0,
    clients: [
      client("public"),
      client("dpop", {}, { "dpop.bound.access.tokens": "true" }),
      client("secret", { publicClient: false, secret: SECRET, serviceAccountsEnabled: true }),
      client("key", {
        publicClient: false,
        clientAuthenticatorType: "client-jwt",
        serviceAccountsEnabled: true,
      }, { "use.jwks.string": "true", "jwks.string": JSON.stringify({ keys: [key.publicJwk] }) }),
      client("browser", {}, { "oauth2.device.authorization.grant.enabled": "false" }),
      client("disabled", { enabled: false }),
      client("device", { standardFlowEnabled: false }),
      client("symmetric", {}, { "id.token.signed.response.alg": "HS256" }),
      client("ended"),
      client("pushed", {}, { "require.pushed.authorization.requests": "true" }),
      client("pkce", {}, { "pkce.code.challenge.method": "S256" }),
    ],
  };
}

function client(
  clientId: string,
  settings: Record<string, unknown> = {},
  attributes: Record<string, string> = {},
) {
  return {
    clientId,
    publicClient: true,
    standardFlowEnabled: true,
    consentRequired: true,
    redirectUris: ["http://127.0.0.1/callback"],
    ...settings,
    attributes: { "oauth2.device.authorization.grant.enabled": "true", ...attributes },
    protocolMappers: [audienceOf("secret")],
  };
}
