import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";
import { bearerOf, coversScope, isFresh, readClaims } from "../entry.ts";
import { bearerKind } from "../options/resolve_identity.ts";
import { credentialKey } from "../credential_key.ts";
import { backendName } from "../../backends/common/describe_backend.ts";
import { CredentialStore } from "../tokens/store.ts";
import { printable } from "../../backends/common/printable.ts";
import type { OidcIdentity } from "../options/identity.ts";

/**
 * State of a sign-in: `valid`; `refreshable` (the token has ended or is about to, and the next use
 * gets a new one); `expired` (a person has to sign in again); `other_scope` (stored, but not for the
 * whole requested scope); `none`; `api_key` (no sign-in is needed).
 */
export type SignInState =
  | "valid"
  | "refreshable"
  | "expired"
  | "other_scope"
  | "none"
  | "api_key";

/** The output of `status --json`. Holds no secret. */
export interface StatusReport {
  /** Whether the next use works without a person. */
  readonly signed_in: boolean;
  readonly state: SignInState;
  readonly issuer?: string;
  readonly client_id?: string;
  readonly audience?: string;
  readonly profile?: string;
  /** Whether the tokens are bound to a key (DPoP). */
  readonly dpop?: boolean;
  /** The requested scope of the stored token. */
  readonly scope?: string;
  /** `sub` of the ID token, as `name` and `email` below. */
  readonly subject?: string;
  readonly name?: string;
  readonly email?: string;
  /** ISO 8601, UTC. */
  readonly expires_at?: string;
  /** Seconds; negative once it has ended. */
  readonly expires_in?: number;
  readonly refreshable?: boolean;
  readonly backend?: {
    readonly name: string;
    readonly location?: string;
    readonly persistent?: boolean;
  };
}

/** The store of one sign-in. No other part of this program makes its key. */
export function storeOf(backend: OidcCredentialsBackend, identity: OidcIdentity): CredentialStore {
  const { issuer, clientId, audience } = identity;
  return new CredentialStore(backend, credentialKey(issuer, clientId, audience, identity));
}

/** Reads the status from the store, without network and without a change. */
export async function readStatus(
  identity: OidcIdentity,
  backend: OidcCredentialsBackend,
  now: number,
): Promise<StatusReport> {
  const { issuer, clientId, audience, profile, dpop } = identity;
  const entry = await storeOf(backend, identity).load();
  const state = stateOf(entry, identity, now);
  return {
    signed_in: state === "valid" || state === "refreshable",
    state,
    issuer,
    client_id: clientId,
    ...(audience !== undefined && { audience }),
    ...(profile !== undefined && { profile }),
    ...(dpop && { dpop }),
    ...(entry !== undefined && describeEntry(entry, issuer, now)),
    backend: {
      name: backendName(backend),
      ...(typeof backend.location === "string" && { location: backend.location }),
      ...(typeof backend.persistent === "boolean" && { persistent: backend.persistent }),
    },
  };
}

function stateOf(
  entry: OidcCredentials | undefined,
  { issuer, scope }: OidcIdentity,
  now: number,
): SignInState {
  if (entry === undefined) return "none";
  if (!coversScope(entry, scope)) return "other_scope";
  if (isFresh(bearerOf(entry, bearerKind("auto", issuer)), now)) return "valid";
  return entry.refresh_token ? "refreshable" : "expired";
}

function describeEntry(entry: OidcCredentials, issuer: string, now: number): Partial<StatusReport> {
  const bearer = bearerOf(entry, bearerKind("auto", issuer));
  const claims = typeof entry.id_token === "string" ? readClaims(entry.id_token) : undefined;
  return {
    ...text("subject", claims?.sub),
    ...text("name", claims?.name),
    ...text("email", claims?.email),
    ...text("scope", entry.scope),
    ...(bearer !== undefined && {
      expires_at: new Date(bearer.expiresAt).toISOString(),
      expires_in: Math.floor((bearer.expiresAt - now) / 1000),
    }),
    refreshable: Boolean(entry.refresh_token),
  };
}

function text<K extends string>(name: K, value: unknown): { [P in K]?: string } {
  return (typeof value === "string" ? { [name]: printable(value) } : {}) as { [P in K]?: string };
}
