import {
  backendName,
  call,
  CredentialsBackendError,
  framesOf,
  type Message,
  setFrames,
  words,
  wordsOf,
} from "../credentials_backend_error.ts";
import type { OidcCredentials, OidcCredentialsBackend } from "../oidc_credentials_backend.ts";
import { hashOf, printable, redact, remember } from "./printable.ts";

/** The place of a backend in words; `undefined` where it gives none, or no text, such as a URL object. */
export function locationOf(backend: OidcCredentialsBackend): string | undefined {
  const location: unknown = backend.location;
  return typeof location === "string" ? location : undefined;
}

/** Whether two backends lead to one store, or share one within them, as far as can be told. */
export function shareStore(one: Marked, other: Marked): boolean {
  const inner = one[INNER];
  if (inner !== undefined) return inner.some((store) => shareStore(store, other));
  if (other[INNER] !== undefined) return shareStore(other, one);
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
  if (isObject && Object.prototype.toString.call(given) === "[object Object]") {
    rememberEntry(given);
    return { ...given };
  }
  const found = isObject ? "an array, bytes or the like" : `a ${typeof given}`;
  throw new CredentialsBackendError(
    "backend_corrupt",
    words`Cannot read credentials from ${describeBackend(backend)}: its get() gave ${found}, not an
      entry. Nothing was changed. Let get() give the object that put() got. If only this entry is
      damaged, remove it with ${call("clearOidcCredentials")}.`,
  );
}

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
  return new CredentialsBackendError(
    "backend_unavailable",
    `Cannot ${action} ${
      describeBackend(backend)
    }: it threw ${cause.name}. See the cause, which holds ` +
      `no token. Repair the store, or have it throw a CredentialsBackendError with a reason.`,
    { cause },
  );
}

/** Longest message of a backend that is shown. */
const LONGEST = 2000;
/** A JWT, or the value of a secret field of an entry, in a text. */
const JWT = /\beyJ[\w-]{6,}(?:\.[\w-]*){0,4}/g;
const FIELD =
  /((?:access_token|refresh_token|id_token|client_secret|dpop_key)[\\"']{0,4}\s{0,4}[:=]\s{0,4}[\\"'{]{0,4})[^\s"'\\,}]+/gi;
/** A piece of JSON in a message of V8's. */
const QUOTED = /(?:\.{3})?".*"(?:\.{3})?(?= is not valid JSON)/gs;
/**
 * A text that may be a token of an entry that this process never read: 16 characters with a letter beside a
 * digit, or 40 without one.
 */
const UNKNOWN = /(?=[\w+=~-]*(?:[a-z]\d|\d[a-z]))[\w+=~-]{16,}|[\w+=~-]{40,}/gi;

/** The tokens and the key in an entry, which no message shows. */
export function secretsOf(entry: OidcCredentials | undefined): string[] {
  const { access_token, refresh_token, id_token, dpop_key } = entry ?? {};
  const key = (dpop_key as JsonWebKey | null | undefined)?.d;
  return [access_token, refresh_token, id_token, key].filter((text) => typeof text === "string");
}

/**
 * A copy of a foreign error and of its causes for its author: the codes, the names, the words and the places.
 * Whatever else an error holds may be a token.
 */
export function causeFrom(error: unknown, secrets: Iterable<string> = known, depth = 3): Error {
  try {
    return copyOf(error, secrets, depth);
  } catch {
    return new Error("an error that cannot be read"); // the error of its getter may hold anything
  }
}

function copyOf(error: unknown, secrets: Iterable<string>, depth: number): Error {
  if (!(error instanceof Error)) {
    return new Error(typeof error === "string" ? cleanForeign(error, secrets) : "no error object");
  }
  const { cause } = error; // once, as the message: they may be getters
  const message = `${error.message}`;
  const inner = cause instanceof Error && depth > 1 && causeFrom(cause, secrets, depth - 1);
  const options = inner ? { cause: inner } : {};
  const copy = error instanceof CredentialsBackendError
    ? codedCopy(error, message, secrets, options)
    : new Error(cleanForeign(message, secrets), options);
  const name = cleanForeign(`${error.name}`, secrets).slice(0, 60);
  Object.defineProperty(copy, "name", { value: name });
  const frames = framesOf(`${error.stack}`.replace(message, "")).slice(0, 10);
  const places = cleanText(hideQueries(frames.join(" at ")), secrets);
  setFrames(copy, places === "" ? [] : places.split(" at "));
  return copy;
}

/** A copy of a coded error. Its terms stay where nothing is wrong with its words. */
function codedCopy(
  error: CredentialsBackendError,
  message: string,
  secrets: Iterable<string>,
  options: ErrorOptions,
): CredentialsBackendError {
  const { code } = error;
  const isCode = typeof code === "string" && /^[a-z_]{3,40}$/.test(code);
  const flat = message.replace(/\n */g, " ").trim();
  const clean = cleanText(flat, secrets);
  const kept = wordsOf(error);
  const shown = clean === flat && `${kept}` === message ? kept : clean;
  return new CredentialsBackendError(isCode ? code : "backend_unavailable", shown, options);
}

function cleanText(text: string, secrets: Iterable<string>): string {
  const short = text.slice(0, 2 * LONGEST).replace(JWT, "[removed]").replace(FIELD, "$1[removed]");
  return printable(redact(short, secrets), LONGEST);
}

/** A third party's text without the secrets, and without texts that may be one. */
export function cleanForeign(text: string, secrets: Iterable<string>): string {
  const short = hideQueries(text.slice(0, 2 * LONGEST).replace(QUOTED, "[removed]"));
  return cleanText(short, secrets).replace(UNKNOWN, "[removed]");
}

/** Hides the query, the fragment and the user of each address in a text. A query may hold a token. */
export function hideQueries(text: string): string {
  return text.replace(/\/\/[^\s/@"'<>]{1,1000}@/g, "//").replace(/(\?|%3F)[^\s"'<>]+/gi, "?…")
    .replace(/#[^\s"'<>]*[=&][^\s"'<>]*/g, "#…");
}

/**
 * Marks a store whose `withLock` proves, once the lock is held and before `fn` runs, that the store can
 * be written. It throws the coded error where it cannot. In every other store that keeps its entries, the
 * client writes and removes an entry under {@linkcode probeKey} at this moment.
 */
export const PROVES: unique symbol = Symbol.for("@validmind/auth: proves its writes");

/** The stores in which a wrapper keeps its entries. */
export const INNER: unique symbol = Symbol.for("@validmind/auth: inner stores");

interface Marked extends OidcCredentialsBackend {
  readonly [PROVES]?: boolean;
  readonly [INNER]?: readonly Marked[];
}

/** Whether a store proves its own writes. A wrapper does where all of its stores do. */
export function provesWrites(backend: Marked): boolean {
  return backend[INNER]?.every(provesWrites) ?? backend[PROVES] === true;
}

/** Whether a store, or one within it, is in Deno KV, which needs `--unstable-kv`. */
export function isInKv(backend: Marked): boolean {
  return backendName(backend) === "KvCredentialsBackend" || backend[INNER]?.some(isInKv) === true;
}

/** The key of the probe entry that goes with `key`: the same at each start, so that a later one removes it. */
export async function probeKey(key: string): Promise<string> {
  return `probe|${(await hashOf(key)).slice(0, 16)}`;
}

/** Whether a key is one of a probe entry, which no list shows; also below an encryption. */
export function isProbeKey(key: string): boolean {
  return /^(encrypted\|)?probe\|/.test(key);
}

/**
 * All keys of a store, in their order, with those of probe entries.
 *
 * @param instead The way out for a store that cannot list them.
 */
export async function listKeys(
  backend: OidcCredentialsBackend,
  instead: Message,
): Promise<string[]> {
  const action = "list credentials in";
  if (backend.list === undefined) {
    throw new CredentialsBackendError(
      "backend_no_list",
      words`Cannot ${action} ${describeBackend(backend)}: it cannot list its keys. ${instead}`,
    );
  }
  try {
    return (await Array.fromAsync(backend.list())).sort();
  } catch (error) {
    throw backendError(action, backend, error);
  }
}
