import { causeOf, CredentialsBackendError } from "../credentials_backend_error.ts";
import type { OidcCredentials, OidcCredentialsBackend } from "../oidc_credentials_backend.ts";
import { framesOf, setFrames } from "./error_class.ts";
import { describeBackend } from "./describe_backend.ts";
import { printable } from "./printable.ts";
import { redact, remember, type Secrets } from "./redaction.ts";

/** The secrets of the entries that this process has read or written: no error of a store shows them. */
const known = new Set<string>();

/** Keeps the secrets of an entry out of the errors of stores. */
export function rememberEntry(entry: OidcCredentials): void {
  remember(known, secretsOf(entry).filter((text) => text.length >= 8));
}

/**
 * The coded error for an error of a backend, which may be a third party's. A coded error keeps its words,
 * without known secrets and without texts that look like one. Another error becomes the cause, by its words
 * and its place. Of its words still more is removed: it may quote an entry that this process never read, as
 * V8's message about bad JSON does.
 */
export function backendError(
  action: string,
  backend: OidcCredentialsBackend,
  error: unknown,
): CredentialsBackendError {
  const cause = causeFrom(error);
  if (cause instanceof CredentialsBackendError) return cause;
  return new CredentialsBackendError("backend_unavailable", {
    action: `${action} ${describeBackend(backend)}`,
    reason: `it threw ${cause.name}`,
    remedy: "See the cause, which holds no token. Repair the store, or have it throw a " +
      "CredentialsBackendError with a reason.",
    cause,
  });
}

/** Longest message of a backend that is shown. */
const LONGEST = 2000;

/** A JWT, or the value of a secret field of an entry, in a text. */
const JWT = /\beyJ[\w-]{6,}(?:\.[\w-]*){0,4}/g;

const FIELD =
  /((?:access_token|refresh_token|id_token|client_secret|dpop_key|encryption_key)[\\"']{0,4}\s{0,4}[:=]\s{0,4}[\\"'{]{0,4})[^\s"'\\,}]+/gi;

/** A piece of JSON in a message of V8's. */
const QUOTED = /(?:\.{3})?".*"(?:\.{3})?(?= is not valid JSON)/gs;

/**
 * A text that may be a token of an entry that this process never read: 16 characters with a letter beside a
 * digit, or 40 without one.
 */
const UNKNOWN = /(?=[\w+=~-]*(?:[a-z]\d|\d[a-z]))[\w+=~-]{16,}|[\w+=~-]{40,}/gi;

/** The tokens and the keys in an entry, which no message shows. */
export function secretsOf(entry: OidcCredentials | undefined): string[] {
  const { access_token, refresh_token, id_token, dpop_key, encryption_key }: Partial<
    OidcCredentials
  > = entry ?? {};
  const key = (dpop_key as JsonWebKey | null | undefined)?.d;
  return [access_token, refresh_token, id_token, key, encryption_key]
    .filter((text) => typeof text === "string");
}

/**
 * A copy of a foreign error and of its causes for its author: the codes, the names, the words and the places.
 * Whatever else an error holds may be a token.
 */
export function causeFrom(error: unknown, secrets: Secrets = known, depth = 3): Error {
  try {
    if (typeof error === "string") return new Error(cleanForeign(error, secrets));
    if (!(error instanceof Error)) return new Error("no error object");
    const message = `${error.message}`; // once, as the cause: they may be getters
    const { cause } = error;
    const isShown = cause instanceof Error && depth > 1;
    const inner = isShown ? causeFrom(cause, secrets, depth - 1) : undefined;
    const copy = copyWithout(error, message, secrets, inner);
    const name = cleanForeign(`${error.name}`, secrets);
    Object.defineProperty(copy, "name", { value: name });
    const frames = framesOf(`${error.stack}`.replace(message, ""));
    const places = cleanText(hideQueries(frames.join(" at ")), secrets);
    setFrames(copy, places.split(" at ").filter((place) => place !== ""));
    return copy;
  } catch {
    return new Error("an error that cannot be read"); // the error of its getter may hold anything
  }
}

/** A copy of an error, with its parts where it is a coded one. */
function copyWithout(error: Error, message: string, secrets: Secrets, cause?: Error) {
  if (!(error instanceof CredentialsBackendError)) {
    return new Error(cleanForeign(message, secrets), causeOf({ cause }));
  }
  const { code, action, reason, remedy, signOut } = error;
  const isCode = typeof code === "string" && /^[a-z_]{3,40}$/.test(code);
  const clean = (text: unknown) => cleanText(`${text}`.replace(/\n */g, " "), secrets);
  return new CredentialsBackendError(isCode ? code : "backend_unavailable", {
    action: clean(action),
    reason: clean(reason),
    remedy: clean(remedy),
    signOut: signOut === "entry" || signOut === "all" ? signOut : undefined,
    cause,
  });
}

function cleanText(text: string, secrets: Secrets) {
  const short = text.slice(0, 2 * LONGEST).replace(JWT, "[removed]").replace(FIELD, "$1[removed]");
  return printable(redact(short, secrets), LONGEST);
}

/** A third party's text without the secrets, and without texts that may be one. */
export function cleanForeign(text: string, secrets: Secrets): string {
  const short = hideQueries(text.slice(0, 2 * LONGEST).replace(QUOTED, "[removed]"));
  return cleanText(short, secrets).replace(UNKNOWN, "[removed]");
}

/** Hides the query, the fragment and the user of each address in a text. A query may hold a token. */
export function hideQueries(text: string): string {
  return text.replace(/\/\/[^\s/@"'<>]{1,1000}@/g, "//").replace(/(\?|%3F)[^\s"'<>]+/gi, "?…")
    .replace(/#[^\s"'<>]*[=&][^\s"'<>]*/g, "#…");
}
