import { describeBackend } from "../../../backends/common/describe_backend.ts";
import { INNER, type Marked } from "../../../backends/common/marks.ts";
import type { EncryptedCredentialsBackend, KeyCounts } from "../../../backends/encrypted.ts";
import type { OidcCredentials } from "../../../backends/oidc_credentials_backend.ts";
import { keyOfIdentity } from "../../credential_key.ts";
import {
  asksNobody,
  type Bearer,
  bearerKind,
  bearerOf,
  coversScope,
  isFresh,
} from "../../entry/bearer.ts";
import { entryStatus } from "../../entry/entry_status.ts";
import { assertAllowed } from "../../options/places.ts";
import type { OidcIdentity } from "../../options/resolve_identity.ts";
import { formatTime } from "../../prompt/prompt.ts";
import { backendStatus } from "../../signed_in/session.ts";
import { StoredCredential } from "../../tokens/stored_credential.ts";
import { type CommandCall, EXIT, PROGRAM } from "../command.ts";
import { type FlagValues, SIGN_IN_FLAGS } from "../flags.ts";
import { columns, print, printResult } from "../output.ts";
import { valueFlags } from "../report_error.ts";
import { findTarget, KEEPING_STORE, type SignInTarget } from "../sign_in_target.ts";

export async function run({ flags, command }: CommandCall): Promise<number | void> {
  const target = await findTarget(flags, command.action);
  const report = await readStatus(target);
  printResult(flags, report, statusText(report, target));
  if (target !== undefined) {
    const { settings, backend, identity } = target;
    assertAllowed(settings, command.action, backend, identity.issuer);
  }
  if (report.signedIn) return;
  if (!flags.has("json")) print(wayOn(report, flags));
  return EXIT.signInNeeded;
}

/** The way to a sign-in. */
function wayOn({ backend }: StatusReport, flags: FlagValues) {
  if (backend?.persistent === false) return `\nThis store keeps no tokens. ${KEEPING_STORE}\n`;
  return `\nTo sign in: ${PROGRAM} login${valueFlags(flags, SIGN_IN_FLAGS)}\n`;
}

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
    readonly signedIn: boolean;
    readonly state: SignInState;
    readonly backend?: ReturnType<typeof backendStatus>;
    /** How many entries each key encrypts, where the store or one within it encrypts. */
    readonly keyUse?: KeyCounts | undefined;
  };

/** The same of any entry of a store, also of one that cannot be read. */
type Report = Partial<StatusReport> & { error?: { message: string } };

/** Reads the status from the store, without network and without a change. */
export async function readStatus(target: SignInTarget | undefined): Promise<StatusReport> {
  if (target === undefined) return { signedIn: true, state: "api_key" };
  const { backend, identity } = target;
  const entry = await new StoredCredential(backend, keyOfIdentity(identity)).read();
  return {
    ...describeEntry(entry, identity),
    backend: backendStatus(backend),
    keyUse: await keyUseIn(backend),
  };
}

/** Counts the entries of each key, where a store that encrypts lists them, and nothing prevents it. */
async function keyUseIn(backend: Marked) {
  const isEncrypted = (store: Marked) => "keyUse" in store && store.list !== undefined;
  const store = [backend, ...backend[INNER] ?? []].find(isEncrypted);
  return await (store as EncryptedCredentialsBackend | undefined)?.keyUse().catch(() => undefined);
}

/** A stored sign-in as a report shows it. Where the identity has a scope, the entry has to cover it. */
export function describeEntry(
  entry: OidcCredentials | undefined,
  identity: Partial<OidcIdentity> & Pick<OidcIdentity, "issuer" | "clientId">,
) {
  const { issuer, clientId, audience, flow } = identity;
  const now = Date.now();
  const bearer = entry && bearerOf(entry, bearerKind("auto", issuer, flow));
  const state = stateOf(entry, bearer, identity, now);
  return {
    signedIn: state === "valid" || state === "refreshable",
    state,
    issuer,
    clientId,
    audience,
    ...entryStatus(identity, entry, bearer),
    expiresIn: bearer && Math.floor((bearer.expiresAt - now) / 1000),
  };
}

function stateOf(
  entry: OidcCredentials | undefined,
  bearer: Bearer | undefined,
  { flow, scope }: Partial<OidcIdentity>,
  now: number,
): SignInState {
  if (entry === undefined) return "none";
  const isCovered = scope === undefined || coversScope(entry, scope);
  if (isCovered && isFresh(bearer, now)) return "valid";
  if (asksNobody(flow)) return "refreshable";
  if (!isCovered) return "other_scope";
  return entry.refresh_token ? "refreshable" : "expired";
}

export function statusText(report: StatusReport, target: SignInTarget | undefined) {
  if (target === undefined) {
    return "An API key is set (VM_API_KEY). Requests carry it, and nobody signs in.\n";
  }
  return columns([
    ...rowsOf(report),
    ["Kept in", describeBackend(target.backend)],
    ...keyRows(report),
  ]);
}

function keyRows({ keyUse }: StatusReport) {
  if (keyUse === undefined) return [];
  const { key, olderKeys, unknown } = keyUse;
  const older = olderKeys.map((count, at) => `, olderKeys[${at}]: ${count}`);
  return [["Entries by", `key: ${key}${older.join("")}, no key: ${unknown}`]];
}

/** A sign-in for a person. */
export function rowsOf(report: Report): string[][] {
  const { error, state } = report;
  const isStored = error === undefined && state !== "none";
  const rows = [
    headOf(report),
    ["Provider", report.issuer],
    ["Client", report.clientId],
    ["Audience", report.audience],
    ["Profile", report.profile],
    ["Scope", report.scope],
    ["Granted", report.grantedScope],
    ["Token", isStored ? tokenText(report) : undefined],
  ];
  return rows.filter((row): row is string[] => row[1] !== undefined);
}

function headOf(report: Report) {
  const { error, state, signedIn } = report;
  if (error !== undefined) return ["Unreadable", error.message];
  if (state === "none") return ["Not signed in", ""];
  return [signedIn ? "Signed in" : "Last signed in", personText(report)];
}

function personText({ name, email, subject, flow, clientId }: Report) {
  if (flow === "client_credentials") return `as the client ${clientId} itself`;
  return `as ${email ?? name ?? subject ?? "a person without a name from the provider"}`;
}

/** The end of the token, and what comes then. */
export function tokenText({ state, expiresAt, expiresIn = 0, refreshable }: Report) {
  const next = nextText(state, refreshable);
  if (expiresAt === undefined) return `not there${next}`;
  const isOver = expiresIn <= 0;
  return `${isOver ? "ended" : "valid until"} ${formatTime(expiresAt)}${next}`;
}

function nextText(state: SignInState | undefined, isRefreshable: boolean | undefined): string {
  if (state === "valid" && isRefreshable) return ", then refreshed without you";
  if (state === "valid") return ", then you sign in again";
  if (state === "refreshable") return ", refreshed without you at the next use";
  if (state !== "other_scope") return ": run login";
  return ", but not for all of the scope that is asked for: run login";
}
