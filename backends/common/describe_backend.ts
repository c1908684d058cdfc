import { backendName, call, CredentialsBackendError, words } from "../credentials_backend_error.ts";
import type { OidcCredentials, OidcCredentialsBackend } from "../oidc_credentials_backend.ts";
import { isDeno } from "./platform.ts";
import { hashOf, printable, redact } from "./printable.ts";

/** The place of a backend in words; `undefined` where it gives none, or no text, such as a URL object. */
export function locationOf(backend: OidcCredentialsBackend): string | undefined {
  const location: unknown = backend.location;
  return typeof location === "string" ? location : undefined;
}

/** Whether two backends lead to one store, as far as can be told. */
export function isOneStore(one: OidcCredentialsBackend, other: OidcCredentialsBackend): boolean {
  const place = one.persistent === true ? locationOf(one) : undefined;
  return one === other || place !== undefined && place === locationOf(other);
}

/** The name of a backend's class, with the place where it keeps entries. */
export function describeBackend(backend: OidcCredentialsBackend): string {
  const location = locationOf(backend);
  const place = location === undefined ? "" : ` (${printable(location)})`;
  return `${backendName(backend)}${place}`;
}

/**
 * A copy of the entry that a backend gave; `undefined` for none. Something else, such as an entry's text
 * or bytes, is an error: taken for an entry without tokens, it would have people sign in over it.
 */
export function entryFrom(
  backend: OidcCredentialsBackend,
  given: OidcCredentials | null | undefined,
): OidcCredentials | undefined {
  if (given === undefined || given === null) return undefined;
  // Tells bytes, a Map and the like from an object of fields.
  const isObject = typeof given === "object";
  if (isObject && Object.prototype.toString.call(given) === "[object Object]") return { ...given };
  const found = isObject ? "an array, bytes or the like" : `a ${typeof given}`;
  throw new CredentialsBackendError(
    "backend_corrupt",
    words`Cannot read credentials from ${describeBackend(backend)}: its get() gave ${found}, not an
      entry. Nothing was changed. Have get() give the object that put() was given. If only this
      entry is damaged, remove it with ${call("clearOidcCredentials")}.`,
  );
}

/**
 * The coded error for an error of a backend. The message of an uncoded error may quote an entry (V8's
 * message about bad JSON does), so only its name is kept. A coded error keeps its words, without what
 * looks like a secret and without that of `known`, the entry that the backend was given, where there
 * was one: it may come from anybody's backend.
 */
export function backendError(
  action: string,
  backend: OidcCredentialsBackend,
  error: unknown,
  known?: OidcCredentials,
): CredentialsBackendError {
  if (error instanceof CredentialsBackendError) return cleanError(error, secretsOf(known));
  const name = error instanceof Error ? printable(error.name, 60) : "something that is no error";
  return new CredentialsBackendError(
    "backend_unavailable",
    `Cannot ${action} ${describeBackend(backend)}: it threw ${name}, whose text is left out ` +
      `since it may quote a token. Have the backend throw a CredentialsBackendError with words ` +
      `of its own.`,
  );
}

/** Longest message of a backend that is shown. */
const LONGEST = 2000;
/** A JWT, or the value of a secret field of an entry, in a text. */
const JWT = /\beyJ[\w-]{6,}(?:\.[\w-]*){0,4}/g;
const FIELD =
  /((?:access_token|refresh_token|id_token|client_secret|dpop_key)[\\"']{0,4}\s{0,4}[:=]\s{0,4}[\\"'{]{0,4})[^\s"'\\,}]+/gi;

/** The tokens and the key in an entry, which no message shows. */
export function secretsOf(entry: OidcCredentials | undefined): string[] {
  const { access_token, refresh_token, id_token, dpop_key } = entry ?? {};
  const key = (dpop_key as JsonWebKey | null | undefined)?.d;
  return [access_token, refresh_token, id_token, key].filter((text) => typeof text === "string");
}

/** The error itself where nothing is wrong with it, else one of the same code that says less. */
function cleanError(
  error: CredentialsBackendError,
  secrets: readonly string[],
): CredentialsBackendError {
  const { code, message } = error; // once: they may be getters
  // Elsewhere nothing tells all that an error shows.
  if (isDeno && isClean(Deno.inspect(error, WHOLE), secrets)) return error;
  const isCode = typeof code === "string" && /^[a-z_]{3,40}$/.test(code);
  return new CredentialsBackendError(
    isCode ? code : "backend_unavailable",
    cleanText(String(message), secrets),
  );
}

const WHOLE = { depth: 10, showHidden: true, iterableLimit: 1000, strAbbreviateSize: 10_000 };

function cleanText(text: string, secrets: readonly string[]): string {
  const short = text.slice(0, 2 * LONGEST).replace(JWT, "[removed]").replace(FIELD, "$1[removed]");
  return printable(redact(short, secrets), LONGEST);
}

/** Whether a text of several lines has nothing in it that {@linkcode cleanText} would change. */
function isClean(text: string, secrets: readonly string[]): boolean {
  const lines = text.split("\n").map((line) => line.trim());
  return lines.every((line) => cleanText(line, secrets) === line);
}

/**
 * Marks a store whose `withLock` proves, once the lock is held and before `fn` runs, that the store can
 * be written. It throws the coded error where it cannot. In every other store that keeps its entries, the
 * client writes and removes an entry under {@linkcode probeKey} at this moment.
 */
export const PROVES: unique symbol = Symbol.for("@validmind/auth: proves its writes");

/** Whether a store proves its own writes. A wrapper gives the value of the wrapped store. */
export function provesWrites(backend: object): boolean {
  return (backend as { [PROVES]?: boolean })[PROVES] === true;
}

const PREFIX = "probe|";

/** The key of the probe entry that goes with `key`: the same at each start, so that a later one removes it. */
export async function probeKey(key: string): Promise<string> {
  return `${PREFIX}${(await hashOf(key)).slice(0, 16)}`;
}

/** Whether a key is one of a probe entry, which no list shows. */
export function isProbeKey(key: string): boolean {
  return key.startsWith(PREFIX);
}
