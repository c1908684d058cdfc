import { isEnvGranted, readEnvIfGranted } from "../backends/read_env.ts";
import { normalizeClientId, normalizeIssuer } from "./credential_key.ts";
import type { OidcProvider } from "./oidc_provider.ts";
import type { OidcIdentity } from "./resolve_identity.ts";
import type { Runtime } from "./resolve_options.ts";

/**
 * The provider of an identity, loaded when it is needed. The client's secret is looked up here and
 * no sooner: a start from a stored token needs none.
 */
export async function loadProvider(
  identity: OidcIdentity,
  runtime: Runtime,
): Promise<OidcProvider> {
  const { OidcProvider } = await import("./oidc_provider.ts");
  const { clientSecret = secretFromEnv(identity) } = identity;
  return new OidcProvider(
    { ...identity, ...(clientSecret !== undefined && { clientSecret }) },
    runtime,
  );
}

/**
 * Not where the variables name another client, or may not be read and so may name one: its secret is
 * not for this one's provider.
 */
function secretFromEnv({ issuer, clientId }: OidcIdentity): string | undefined {
  const secret = readEnvIfGranted("VM_OIDC_CLIENT_SECRET");
  const mayTell = isEnvGranted("VM_OIDC_ISSUER") && isEnvGranted("VM_OIDC_CLIENT_ID");
  if (secret === undefined || !mayTell) return undefined;
  const ofIssuer = readEnvIfGranted("VM_OIDC_ISSUER");
  const ofClient = readEnvIfGranted("VM_OIDC_CLIENT_ID");
  const isOther = (ofIssuer !== undefined && normalizeIssuer(ofIssuer) !== issuer) ||
    (ofClient !== undefined && normalizeClientId(ofClient) !== clientId);
  return isOther ? undefined : secret;
}
