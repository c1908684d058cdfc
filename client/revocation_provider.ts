import { delay, LONGEST_TIMER_MS } from "../backends/delay.ts";
import type { OidcCredentials } from "../backends/oidc_credentials_backend.ts";
import { readEnvIfGranted } from "../backends/read_env.ts";
import { normalizeClientId, normalizeIssuer } from "./credential_key.ts";
import { ValidMindAuthError } from "./errors.ts";
import { loadProvider } from "./load_provider.ts";
import type { OidcProvider } from "./oidc_provider.ts";
import { checkIssuer, type OidcIdentity } from "./resolve_identity.ts";
import type { Runtime } from "./resolve_options.ts";
import type { SignedInSession } from "./signed_in_session.ts";

/** What makes the requests of a revocation. */
export interface RevocationOptions {
  fetch?: typeof globalThis.fetch;
  timeoutMs?: number;
}

/** A client, as far as it is configured. */
export interface ConfiguredClient {
  issuer?: string | undefined;
  clientId?: string | undefined;
  /** As an option gave it. */
  clientSecret?: string | undefined;
}

/** The provider of an identity, for a revocation. */
export async function revocationProvider(
  identity: OidcIdentity,
  options: RevocationOptions,
): Promise<OidcProvider> {
  return await loadProvider(identity, runtimeOf(options));
}

/**
 * The client that the options, else the active session, else the environment name. Who names one
 * gets no secret of the session's: a client of the same name at another issuer must not have it.
 */
export function configuredClient(
  options: ConfiguredClient,
  session: SignedInSession | undefined,
): ConfiguredClient {
  const isOwn = options.issuer === undefined && options.clientId === undefined;
  const {
    issuer = session?.issuer ?? readEnvIfGranted("VM_OIDC_ISSUER"),
    clientId = session?.clientId ?? readEnvIfGranted("VM_OIDC_CLIENT_ID"),
    clientSecret = isOwn ? session?.givenSecret() : undefined,
  } = options;
  return { issuer, clientId, clientSecret };
}

/**
 * The provider that issued an entry, from the entry alone: another issuer, such as the
 * environment's, must not get its tokens, and another client's provider not the client's secret.
 */
export async function providerOfEntry(
  entry: OidcCredentials,
  client: ConfiguredClient,
  options: RevocationOptions,
): Promise<OidcProvider> {
  const { issuer, client_id } = entry;
  if (typeof issuer !== "string" || issuer === "" || typeof client_id !== "string") {
    throw new ValidMindAuthError(
      "invalid_options",
      `Cannot clear credentials: the entry does not say who issued its tokens. End them at the ` +
        `provider.`,
    );
  }
  const identity: OidcIdentity = {
    kind: "oidc",
    issuer: checkIssuer(normalizeIssuer(issuer), "clear credentials"),
    clientId: normalizeClientId(client_id),
    scope: "openid",
  };
  const isConfigured = client.issuer !== undefined && client.clientId !== undefined &&
    normalizeIssuer(client.issuer) === identity.issuer &&
    normalizeClientId(client.clientId) === identity.clientId;
  if (!isConfigured) {
    const { OidcProvider } = await import("./oidc_provider.ts");
    return new OidcProvider(identity, runtimeOf(options));
  }
  const { clientSecret } = client;
  return await revocationProvider(
    { ...identity, ...(clientSecret !== undefined && { clientSecret }) },
    options,
  );
}

function runtimeOf({ fetch = globalThis.fetch, timeoutMs = 30_000 }: RevocationOptions): Runtime {
  return { fetch, timeoutMs: Math.min(timeoutMs, LONGEST_TIMER_MS), now: Date.now, delay };
}
