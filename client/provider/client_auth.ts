import * as oauth from "oauth4webapi";
import { readEnvIfGranted } from "../../backends/common/read_env.ts";
import { normalizeClientId, normalizeIssuer } from "../credential_key.ts";
import type { OidcIdentity } from "../options/identity.ts";

/**
 * How the client authenticates itself: RFC 6749, section 2.3. A secret goes into the form where the
 * provider takes it there, since the form leaves no doubt about the encoding; else into the header.
 */
export function clientAuth(
  { token_endpoint_auth_methods_supported: methods }: oauth.AuthorizationServer,
  clientSecret?: string,
): oauth.ClientAuth {
  if (clientSecret === undefined) return oauth.None();
  // A provider that states no method takes the header: OpenID Connect Discovery, section 3.
  return methods?.includes("client_secret_post")
    ? oauth.ClientSecretPost(clientSecret)
    : oauth.ClientSecretBasic(clientSecret);
}

/** The variable's secret, for the client alone that the variables for issuer and client id name. */
export function secretFromEnv({ issuer, clientId }: OidcIdentity): string | undefined {
  const named = readEnvIfGranted("VM_OIDC_ISSUER");
  const client = readEnvIfGranted("VM_OIDC_CLIENT_ID");
  if (named === undefined || client === undefined) return undefined;
  const isNamed = normalizeIssuer(named) === issuer && normalizeClientId(client) === clientId;
  return isNamed ? readEnvIfGranted("VM_OIDC_CLIENT_SECRET") : undefined;
}
