import { describeBackend } from "../../../backends/common/describe_backend.ts";
import { listKeys } from "../../../backends/common/list_keys.ts";
import { printable } from "../../../backends/common/printable.ts";
import { isProbeKey } from "../../../backends/common/probe.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../../backends/oidc_credentials_backend.ts";
import { credentialKey } from "../../credential_key.ts";
import { bearerOf, coversScope, isFresh } from "../../entry/bearer.ts";
import { asksNobody, bearerKind } from "../../entry/bearer_kind.ts";
import { entryStatus } from "../../entry/entry_status.ts";
import type { OidcIdentity } from "../../options/resolve_identity.ts";
import { formatTime } from "../../prompt/prompt.ts";
import { backendStatus } from "../../signed_in/session.ts";
import { CredentialStore } from "../../tokens/store.ts";
import {
  columns,
  type Command,
  EXIT,
  type FlagValues,
  printResult,
  snakeCase,
} from "../command.ts";
import { describeError } from "../report_error.ts";
import {
  chooseBackend,
  findTarget,
  SIGN_IN_FLAGS,
  type SignInTarget,
  STORE_FLAGS,
} from "../sign_in_target.ts";

export const status: Command = {
  name: "status",
  summary: "show the account, the expiry of the token, and the store",
  details: [
    "Reads the store only: nothing is refreshed, and nobody is asked. Exit code 4 means " +
    "that the next use needs a person. config list shows which flag, variable or file decides.",
  ],
  flags: [...SIGN_IN_FLAGS, "json", "quiet"],
  examples: ["status", "status --json | jq -r .expires_at", "status --quiet || echo sign in first"],
  action: "show the status",
  async run(flags) {
    const target = await findTarget(flags, status.action);
    const report = await readStatus(target);
    printResult(flags, report, statusText(report, target));
    return report.signedIn ? EXIT.ok : EXIT.signInNeeded;
  },
};

/**
 * State of a sign-in: `valid`; `refreshable` (the token has ended or is about to, and the next use
 * gets a new one); `expired` (a person has to sign in again); `other_scope` (stored, but not for the
 * whole requested scope); `none`; `api_key` (no sign-in is needed).
 */
type SignInState = "valid" | "refreshable" | "expired" | "other_scope" | "none" | "api_key";

/** The output of `status --json`. Holds no secret. JSON leaves out what is not known. */
type StatusReport =
  & Partial<ReturnType<typeof describeEntry>>
  & {
    /** Whether the next use works without a person. */
    readonly signedIn: boolean;
    readonly state: SignInState;
    readonly backend?: ReturnType<typeof backendStatus>;
  };

/** The same of any entry of a store, also of one that cannot be read. */
type Report = Partial<StatusReport> & { error?: { message: string } };

/** Reads the status from the store, without network and without a change. */
export async function readStatus(target: SignInTarget | undefined): Promise<StatusReport> {
  if (target === undefined) return { signedIn: true, state: "api_key" };
  const { backend, identity } = target;
  const key = credentialKey(identity.issuer, identity.clientId, identity.audience, identity);
  const entry = await new CredentialStore(backend, key).load();
  return { ...describeEntry(entry, identity), backend: backendStatus(backend) };
}

/** The part of an identity that a key holds. */
type StoredIdentity = Pick<
  OidcIdentity,
  "issuer" | "clientId" | "audience" | "profile" | "flow" | "dpop"
>;

/** A stored sign-in as a report shows it. Where the identity has a scope, the entry has to cover it. */
export function describeEntry(
  entry: OidcCredentials | undefined,
  identity: StoredIdentity & { scope?: string },
) {
  const { issuer, clientId, audience, flow, scope } = identity;
  const now = Date.now();
  const bearer = entry && bearerOf(entry, bearerKind("auto", issuer, flow));
  const isCovered = entry !== undefined && (scope === undefined || coversScope(entry, scope));
  const state = entry === undefined
    ? "none"
    : isCovered && isFresh(bearer, now)
    ? "valid"
    : asksNobody(flow) || isCovered && entry.refresh_token
    ? "refreshable"
    : isCovered
    ? "expired"
    : "other_scope";
  return {
    signedIn: state === "valid" || state === "refreshable",
    state: state as SignInState,
    issuer,
    clientId,
    audience,
    ...entryStatus(identity, entry, bearer),
    expiresIn: bearer && Math.floor((bearer.expiresAt - now) / 1000),
  };
}

export function statusText(report: StatusReport, target: SignInTarget | undefined): string {
  if (target === undefined) {
    return "An API key is set (VM_API_KEY). Requests carry it, and nobody signs in.\n";
  }
  return columns([...rowsOf(report), ["Kept in", describeBackend(target.backend)]]);
}

/** A sign-in for a person. */
function rowsOf(report: Report): string[][] {
  const { error, state, signedIn, flow, signInEndsAt } = report;
  const isStored = error === undefined && state !== "none";
  // A client may ask for none, and another program has no key of a client.
  const unknown = isStored && !flow ? "not known: another program stored the token" : undefined;
  const rows = [
    error !== undefined
      ? ["Unreadable", error.message]
      : isStored
      ? [signedIn ? "Signed in" : "Last signed in", personText(report)]
      : ["Not signed in", ""],
    ["Provider", report.issuer],
    ["Client", report.clientId],
    ["Audience", report.audience],
    ["Profile", report.profile],
    ["Scope", report.scope ?? unknown],
    ["Granted", report.grantedScope],
    ["Token", isStored ? tokenText(report) : undefined],
    ["Sign-in", signInEndsAt && `ends ${timeText(signInEndsAt)}`],
  ];
  return rows.filter((row): row is string[] => row[1] !== undefined);
}

function personText({ name, email, subject, flow, clientId }: Report): string {
  if (flow === "client_credentials") return `as the client ${clientId} itself`;
  const who = email ?? subject;
  if (who === undefined) return `as ${name ?? "a person without a name from the provider"}`;
  return `as ${who}${name === undefined ? "" : ` (${name})`}`;
}

/** The end of the token, and what comes then. */
export function tokenText({ state, expiresAt, expiresIn = 0, refreshable }: Report): string {
  const end = expiresAt && `${expiresIn > 0 ? "valid until" : "ended"} ${timeText(expiresAt)}`;
  const then = {
    valid: refreshable ? ", then refreshed without you" : ", then you sign in again",
    refreshable: ", refreshed without you at the next use",
    other_scope: ", but not for all of the scope that is asked for: run login",
  }[state as string] ?? ": run login";
  return (end ?? "not there") + then;
}

/** A time, and how far it is: "in 43 min", "2 h ago". */
export function timeText(end: Date, now: number = Date.now()): string {
  const ms = end.getTime() - now;
  const minutes = Math.max(1, Math.round(Math.abs(ms) / 60_000));
  const length = minutes < 120
    ? `${minutes} min`
    : minutes < 48 * 60
    ? `${Math.round(minutes / 60)} h`
    : `${Math.round(minutes / 1440)} d`;
  return `${formatTime(end.getTime())} (${ms < 0 ? `${length} ago` : `in ${length}`})`;
}

export const list: Command = {
  name: "list",
  summary: "list all sign-ins with provider, client, profile and expiry",
  details: [
    "Reads the store only, and needs neither issuer nor client. An entry that cannot be read is shown " +
    "with the reason, and makes the exit code 1. --profile names the settings that name the store.",
  ],
  flags: ["profile", ...STORE_FLAGS, "json"],
  examples: ["list", "list --json | jq -r '.sign_ins[].issuer'"],
  action: "list the sign-ins",
  async run(flags) {
    const { backend } = await chooseBackend(flags, list.action);
    const signIns = [];
    const keys = await listKeys(
      backend,
      "Look at each one with status --issuer URL --client-id ID.",
    );
    for (const key of keys.filter((key) => !isProbeKey(key))) {
      const found = await readSignIn(backend, key, flags);
      if (found !== undefined) signIns.push(found);
    }
    const rows = signIns.flatMap((one) => [...rowsOf(one), []]);
    const nobody = rows.length === 0 ? "Nobody is signed in.\n" : "";
    const text = nobody + columns([...rows, ["Kept in", describeBackend(backend)]]);
    const json = { backend: backendStatus(backend), signIns: signIns.map(snakeCase) };
    printResult(flags, json, text);
    return signIns.some((one) => "error" in one) ? EXIT.failure : EXIT.ok;
  },
};

/** `undefined` for an entry that has been removed since the keys were read. */
async function readSignIn(backend: OidcCredentialsBackend, key: string, flags: FlagValues) {
  const identity = identityOfKey(key);
  try {
    const entry = await new CredentialStore(backend, key).load();
    return entry && describeEntry(entry, identity);
  } catch (error) {
    return { ...identity, error: describeError(error, flags, identity) };
  }
}

/** The identity that a stored key stands for. A key of another form becomes the issuer. */
function identityOfKey(key: string) {
  const form =
    /^(?:(client_credentials|token_exchange)\|)?(dpop\|)?(?:profile:([^|]*)\|)?([^|]*)\|([^|]*)(?:\|(.*))?$/s;
  const text = printable(key, 2000); // it may be of anybody
  const [, flow, dpop, profile, issuer = text, clientId = "", audience] = form.exec(text) ?? [];
  return {
    issuer,
    clientId,
    ...(audience && { audience }),
    ...(profile && { profile }),
    ...(asksNobody(flow) && { flow }),
    ...(dpop && { dpop: true as const }),
  };
}
