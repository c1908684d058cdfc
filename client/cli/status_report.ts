import { backendName } from "../../backends/credentials_backend_error.ts";
import { locationOf } from "../../backends/common/describe_backend.ts";
import { printable } from "../../backends/common/printable.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";
import {
  bearerKind,
  bearerOf,
  coversScope,
  credentialKey,
  isFresh,
  parseExpiry,
  readClaims,
} from "../entry.ts";
import type { OidcIdentity } from "../options/resolve_identity.ts";
import { formatTime } from "../prompt/prompt.ts";
import { CredentialStore } from "../tokens/store.ts";
import { columns } from "./output.ts";

/** Longest text of a store, a token or a backend in a report. */
const LONGEST = 500;

/**
 * State of a sign-in: `valid`; `refreshable` (the token has ended or is about to, and the next use
 * gets a new one); `expired` (a person has to sign in again); `other_scope` (stored, but not for the
 * whole requested scope); `none`; `api_key` (no sign-in is needed).
 */
type SignInState = "valid" | "refreshable" | "expired" | "other_scope" | "none" | "api_key";

/** The output of `status --json`. Holds no secret. JSON leaves out what is not known. */
export type StatusReport =
  & Partial<ReturnType<typeof describeEntry>>
  & {
    /** Whether the next use works without a person. */
    readonly signed_in: boolean;
    readonly state: SignInState;
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
    ...(audience && { audience }),
    ...(profile && { profile }),
    ...(client && { flow: "client_credentials" as const }),
    ...(dpop && { dpop: true }),
  };
}

export function describeIdentity(identity: StoredIdentity) {
  const { issuer, clientId, audience, profile, flow, dpop } = identity;
  return {
    issuer: text(issuer),
    client_id: text(clientId),
    audience: text(audience),
    profile: text(profile),
    flow: flow === "client_credentials" ? flow : undefined,
    dpop: dpop || undefined,
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
    subject: text(isClient && entry ? clientId : claims?.sub),
    name: text(claims?.name),
    email: text(claims?.email),
    scope: text(entry?.scope),
    granted_scope: text(entry?.granted_scope),
    expires_at: bearer && new Date(bearer.expiresAt).toISOString(),
    expires_in: bearer && Math.floor((bearer.expiresAt - now) / 1000),
    sign_in_ends_at: text(entry?.refresh_expires_at),
    refreshable,
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
  const { persistent } = backend;
  return {
    name: backendName(backend),
    location: text(locationOf(backend)),
    persistent: typeof persistent === "boolean" ? persistent : undefined,
  };
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? printable(value, LONGEST) : undefined;
}

export function statusText(report: StatusReport, now: number): string {
  if (report.state === "api_key") {
    return "An API key is set (VM_API_KEY). Requests carry it, and nobody signs in.\n";
  }
  const { backend } = report;
  return columns([
    ...rowsOf(report, now),
    ...(backend === undefined ? [] : [["Kept in", placeOf(backend)]]),
  ]);
}

/** All sign-ins of a store for a person, with an empty line after each. */
export function listText(
  signIns: readonly (StatusReport | UnreadableSignIn)[],
  place: { name: string; location?: string },
  now: number,
): string {
  const rows = signIns.flatMap((one) => [...rowsOf(one, now), []]);
  const nobody = rows.length === 0 ? "Nobody is signed in.\n" : "";
  return nobody + columns([...rows, ["Kept in", placeOf(place)]]);
}

function rowsOf(report: StatusReport | UnreadableSignIn, now: number): string[][] {
  const { issuer = "", client_id = "", audience, profile } = report;
  const names = [
    ["Provider", issuer],
    ["Client", client_id],
    ...(audience === undefined ? [] : [["Audience", audience]]),
    ...(profile === undefined ? [] : [["Profile", profile]]),
  ];
  if ("error" in report) return [["Unreadable", report.error.message], ...names];
  if (report.state === "none") return [["Not signed in"], ...names];
  const ends = parseExpiry(report.sign_in_ends_at);
  return [
    [report.signed_in ? "Signed in" : "Last signed in", personText(report)],
    ...names,
    ...scopeRows(report),
    ["Token", tokenText(report, now)],
    ...(ends > 0 ? [["Sign-in", `ends ${timeText(new Date(ends), now)}`]] : []),
  ];
}

function scopeRows({ scope, granted_scope, flow }: StatusReport): string[][] {
  // A client may ask for none, and another program has no key of a client.
  const asked = flow !== undefined && scope === undefined
    ? []
    : [["Scope", scope ?? "not known: another program stored the token"]];
  return granted_scope === undefined ? asked : [...asked, ["Granted", granted_scope]];
}

/** The answer to `login` if the stored sign-in serves. */
export function alreadyText(report: StatusReport, now: number): string {
  return `Already signed in ${personText(report)}, until ${endText(report, now)}.\n` +
    "To sign in anew, for example as another person, run logout first.\n";
}

function personText({ name, email, subject, flow, client_id }: StatusReport): string {
  if (flow !== undefined) return `as the client ${client_id} itself`;
  const who = email ?? subject;
  if (who === undefined) return `as ${name ?? "a person whom the provider did not name"}`;
  return `as ${who}${name === undefined ? "" : ` (${name})`}`;
}

/** The end of the token, and what comes then. */
export function tokenText(report: StatusReport, now: number): string {
  const { state, expires_in = 0, refreshable } = report;
  const end = `${expires_in > 0 ? "valid until" : "ended"} ${endText(report, now)}`;
  const then = {
    valid: refreshable ? ", then refreshed without you" : ", then you sign in again",
    refreshable: ", refreshed without you at the next use",
    other_scope: ", but not for all of the scope that is asked for: run login",
  }[state as string] ?? ": run login";
  return (report.expires_at === undefined ? "not there" : end) + then;
}

function endText({ expires_at = "" }: StatusReport, now: number): string {
  return timeText(new Date(expires_at), now);
}

function timeText(end: Date, now: number): string {
  return `${formatTime(end.getTime())} (${formatRelative(end, now)})`;
}

export function placeOf({ name, location }: { name: string; location?: string }): string {
  return location === undefined ? name : `${location} (${name})`;
}

/** A time relative to now: "in 43 min", "2 h 5 min ago". */
export function formatRelative(date: Date, now: number): string {
  const ms = date.getTime() - now;
  const minutes = Math.max(1, Math.round(Math.abs(ms) / 60_000));
  const length = minutes < 120
    ? `${minutes} min`
    : minutes < 48 * 60
    ? `${Math.round(minutes / 60)} h`
    : `${Math.round(minutes / 1440)} d`;
  return ms < 0 ? `${length} ago` : `in ${length}`;
}
