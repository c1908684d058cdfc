// @ts-types="@types/oidc-provider"
import type { Configuration, JWKS, KoaContextWithOIDC, ResourceServer } from "oidc-provider";
import type { SigningKey } from "./jwt.ts";
import type { OidcProviderOptions } from "./oidc_provider.ts";
import type { OidcStore } from "./oidc_store.ts";

/** The public client of the test providers. */
export const CLIENT_ID = "validmind-test";

/** The account that every sign-in gets unless a test names another login. */
export const ACCOUNT = { sub: "analyst@example.com", name: "Ada Analyst" } as const;

const DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code";
const TWO_WEEKS = 14 * 24 * 3600;
const DEFAULT_RESOURCE = "urn:validmind-test:api";
const AUDIENCE_PREFIX = "urn:validmind-test:audience:";

/** The provider's configuration. Its pages are those that it has for development: any login is good. */
export function oidcConfig(
  options: OidcProviderOptions,
  store: OidcStore,
  signingKey: SigningKey,
): Configuration {
  return {
    adapter: (kind: string) => store.adapter(kind),
    claims: { openid: ["sub"], profile: ["name"], email: ["email", "email_verified"] },
    clients: [client()],
    clientDefaults: { id_token_signed_response_alg: "ES256" },
    clockTolerance: 0,
    // Otherwise name and email would only be at the userinfo endpoint.
    conformIdTokenClaims: false,
    cookies: { keys: [crypto.randomUUID()] },
    expiresWithSession: () => false,
    extraParams: ["audience"],
    features: features(options),
    findAccount: (_ctx, sub) => ({ accountId: sub, claims: () => accountClaims(sub) }),
    issueRefreshToken: (_ctx, _client, code) =>
      (options.issueRefreshToken ?? true) && code.scopes.has("offline_access"),
    jwks: { keys: [signingKey.privateJwk] } as JWKS,
    rotateRefreshToken: options.rotateRefreshToken ?? true,
    ttl: lifetimes(options),
  };
}

function client(): NonNullable<Configuration["clients"]>[number] {
  return {
    client_id: CLIENT_ID,
    client_name: "ValidMind test client",
    token_endpoint_auth_method: "none",
    application_type: "native",
    grant_types: [DEVICE_GRANT, "authorization_code", "refresh_token"],
    response_types: ["code"],
    redirect_uris: ["http://127.0.0.1/callback", "http://localhost/callback"],
  };
}

function accountClaims(sub: string) {
  const name = sub === ACCOUNT.sub ? ACCOUNT.name : sub;
  return { sub, name, email: sub, email_verified: true };
}

function lifetimes(options: OidcProviderOptions): Configuration["ttl"] {
  return {
    AccessToken: options.accessTokenTtl ?? 3600,
    DeviceCode: options.deviceCodeTtl ?? 600,
    IdToken: options.idTokenTtl ?? 3600,
    RefreshToken: options.refreshTokenTtl ?? TWO_WEEKS,
  };
}

function features(options: OidcProviderOptions): Configuration["features"] {
  return {
    deviceFlow: { enabled: true },
    dPoP: { enabled: false },
    introspection: { enabled: true, allowedPolicy: () => true },
    pushedAuthorizationRequests: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: (ctx) => defaultResource(ctx, options),
      getResourceServerInfo: (_ctx, resource) => resourceServer(resource, options),
      useGrantedResource: () => true,
    },
    revocation: { enabled: options.revocation ?? true, allowedPolicy: () => true },
    rpInitiatedLogout: { enabled: false },
  };
}

/** An `audience` becomes a resource, which the protocol wants to be a URI. */
function defaultResource(ctx: KoaContextWithOIDC, options: OidcProviderOptions): string[] | string {
  const audience = ctx.oidc.params?.audience;
  if (typeof audience === "string" && audience !== "") {
    return AUDIENCE_PREFIX + encodeURIComponent(audience);
  }
  return options.jwtAccessTokens ? DEFAULT_RESOURCE : [];
}

function resourceServer(resource: string, options: OidcProviderOptions): ResourceServer {
  const audience = resource.startsWith(AUDIENCE_PREFIX)
    ? decodeURIComponent(resource.slice(AUDIENCE_PREFIX.length))
    : resource;
  return {
    scope: "profile email",
    audience,
    accessTokenFormat: options.jwtAccessTokens ? "jwt" : "opaque",
    jwt: { sign: { alg: "ES256" } },
  };
}
