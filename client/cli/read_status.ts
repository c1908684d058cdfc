import type { OidcIdentity } from "../options/resolve_identity.ts";
import { backendName } from "../../backends/credentials_backend_error.ts";
import { locationOf } from "../../backends/common/describe_backend.ts";
import { printable } from "../../backends/common/printable.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";
import { bearerKind, bearerOf, coversScope, credentialKey, isFresh, readClaims } from "../entry.ts";
import { CredentialStore } from "../tokens/store.ts";

/** Longest text of a store, a token or a backend in a report. */
const LONGEST = 500;

/**
 * State of a sign-in: `valid`; `refreshable` (the token has ended or is about to, and the next use
 * gets a new one); `expired` (a person has to sign in again); `other_scope` (stored, but not for the
 * whole requested scope); `none`; `api_key` (no sign-in is needed).
 */
type SignInState = "valid" | "refreshable" | "expired" | "other_scope" | "none" | "api_key";

/** The output of `status --json`. Holds no secret. What is not known is left out. */
export type StatusReport =
  & Partial<ReturnType<typeof describeEntry>>
  & {
    /** Whether the next use works without a person. */
    readonly signed_in: boolean;
    readonly state: SignInState;
    /** The flag, the variable or the settings file that decides each setting. */
    readonly sources?: Readonly<Record<string, string>>;
    readonly backend?: ReturnType<typeof placeReport>;
  };

/** A sign-in of `list --json` that cannot be read. */
export type UnreadableSignIn = ReturnType<typeof describeIdentity> & {
  readonly error: { readonly code: string; readonly message: string };
};

/** The store of one sign-in. */
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
  const entry = await storeOf(backend, identity).load();
  return { ...describeEntry(entry, identity, now), backend: placeReport(backend) };
}

/** The part of an identity that a key holds. */
type StoredIdentity = Omit<OidcIdentity, "kind" | "scope">;

/** The identity that a stored key stands for. A key of another form becomes the issuer. */
export function identityOfKey(key: string): StoredIdentity {
  const form =
    /^(client_credentials\|)?(dpop\|)?(?:profile:([^|]*)\|)?([^|]*)\|([^|]*)(?:\|(.*))?$/s;
  const [, client, dpop, profile, issuer = key, clientId = "", audience] = form.exec(key) ?? [];
  return {
    issuer,
    clientId,
    ...(audience !== undefined && { audience }),
    ...(profile !== undefined && { profile }),
    ...(client !== undefined && { flow: "client_credentials" as const }),
    ...(dpop !== undefined && { dpop: true }),
  };
}

export function describeIdentity(identity: StoredIdentity) {
  const { issuer, clientId, audience, profile, flow, dpop } = identity;
  return {
    ...text("issuer", issuer),
    ...text("client_id", clientId),
    ...text("audience", audience),
    ...text("profile", profile),
    ...(flow === "client_credentials" && { flow }),
    ...(dpop && { dpop }),
  };
}

/** A stored sign-in as a report shows it. Where the identity has a scope, the entry has to cover it. */
export function describeEntry(
  entry: OidcCredentials | undefined,
  identity: StoredIdentity & { scope?: string },
  now: number,
) {
  const { issuer, flow, clientId } = identity;
  const isClient = flow === "client_credentials";
  const kind = URL.canParse(issuer) ? bearerKind("auto", issuer, flow) : "access_token";
  const bearer = entry && bearerOf(entry, kind);
  const claims = typeof entry?.id_token === "string" ? readClaims(entry.id_token) : undefined;
  const refreshable = entry && (isClient || Boolean(entry.refresh_token));
  const state = stateOf(entry, identity.scope, isFresh(bearer, now), isClient);
  return {
    signed_in: state === "valid" || state === "refreshable",
    state,
    ...describeIdentity(identity),
    ...text("subject", isClient && entry ? clientId : claims?.sub),
    ...text("name", claims?.name),
    ...text("email", claims?.email),
    ...text("scope", entry?.scope || undefined),
    ...text("granted_scope", entry?.granted_scope || undefined),
    ...(bearer !== undefined && {
      expires_at: new Date(bearer.expiresAt).toISOString(),
      expires_in: Math.floor((bearer.expiresAt - now) / 1000),
    }),
    ...(refreshable !== undefined && { refreshable }),
  };
}

function stateOf(
  entry: OidcCredentials | undefined,
  scope: string | undefined,
  isFresh: boolean,
  isClient: boolean,
): SignInState {
  if (entry === undefined) return "none";
  const isCovered = scope === undefined || coversScope(entry, scope);
  if (isFresh && isCovered) return "valid";
  if (isClient) return "refreshable";
  if (!isCovered) return "other_scope";
  return entry.refresh_token ? "refreshable" : "expired";
}

export function placeReport(backend: OidcCredentialsBackend) {
  const persistent = backend.persistent;
  return {
    name: backendName(backend),
    ...text("location", locationOf(backend)),
    ...(typeof persistent === "boolean" && { persistent }),
  };
}

function text<K extends string>(name: K, value: unknown): { [P in K]?: string } {
  if (typeof value !== "string") return {};
  return { [name]: printable(value, LONGEST) } as { [P in K]?: string };
}
