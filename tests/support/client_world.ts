import type { Configuration } from "oidc-provider";
import { credentialKey } from "../../client/credential_key.ts";
import { rememberSecret } from "./assert_no_secret.ts";
import { makeKey, type SigningKey, signJwt } from "./jwt.ts";
import { EXCHANGE, type OidcProviderOptions, type TestOidcProvider } from "./oidc_provider.ts";
import { oidcProviderWorld, type ProviderWorld } from "./provider_world.ts";

/** The secret of the confidential client. */
export const CLIENT_SECRET = "Zq7%/+~ x&=9Kf:w-._!*'()";

/** How the provider knows the client. */
export interface ClientRegistration {
  /** @default {"client_secret_basic"} */
  method?: "client_secret_basic" | "client_secret_post" | "private_key_jwt";
  /** The methods that discovery states. @default {method alone} */
  offered?: string[];
  /** The public keys, for `private_key_jwt`. */
  keys?: JsonWebKey[];
}

/** A world whose real provider has a confidential client that may sign in itself. */
export async function clientWorld(
  registration: ClientRegistration = {},
  options: OidcProviderOptions = {},
): Promise<ProviderWorld<TestOidcProvider>> {
  return await oidcProviderWorld(withClient(registration, options));
}

/** Options of a provider that has such a client. */
export function withClient(
  registration: ClientRegistration = {},
  options: OidcProviderOptions = {},
): OidcProviderOptions {
  rememberSecret(CLIENT_SECRET);
  return {
    ...options,
    async configure(config) {
      register(config, registration);
      await options.configure?.(config);
    },
  };
}

function register(
  config: Configuration,
  { method = "client_secret_basic", offered = [method], keys }: ClientRegistration,
): void {
  Object.assign(config, { clientAuthMethods: offered });
  Object.assign(config.features!, { clientCredentials: { enabled: true } });
  const client = config.clients![0]!;
  Object.assign(client, {
    token_endpoint_auth_method: method,
    grant_types: [...client.grant_types!, "client_credentials", EXCHANGE],
    ...(method !== "private_key_jwt" && { client_secret: CLIENT_SECRET }),
    ...(keys !== undefined && { jwks: { keys } }),
  });
}

/** The key of a world's client's own token. */
export function clientKeyOf({ provider: { issuer, clientId } }: ProviderWorld): string {
  return credentialKey(issuer, clientId, undefined, { flow: "client_credentials" });
}

/** Somebody who makes assertions about clients, as a Kubernetes cluster does. */
export class AssertionIssuer {
  private constructor(readonly key: SigningKey) {}

  static async make(): Promise<AssertionIssuer> {
    return new AssertionIssuer(await makeKey());
  }

  /** An assertion about a client, good for ten minutes. `claims` are merged in. */
  async assertion(
    aud: string,
    clientId: string,
    claims: Record<string, unknown> = {},
    sign: Parameters<typeof signJwt>[2] = {},
  ): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    const base = { iss: clientId, sub: clientId, aud, iat: now, exp: now + 600 };
    const token = await signJwt({ ...base, jti: crypto.randomUUID(), ...claims }, this.key, sign);
    rememberSecret(token.slice(-20)); // its claims alone are no secret
    return token;
  }
}
