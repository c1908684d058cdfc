import type { OidcCredentialsBackend } from "./oidc_credentials_backend.ts";

/**
 * The failures of a store. Codes are stable over releases.
 *
 * | code | meaning |
 * |---|---|
 * | `permission_required` | Deno denies an access; the message names the flag |
 * | `backend_denied` | the operating system or the server refuses the access |
 * | `backend_auth_failed` | the store does not accept the login, or no longer accepts it |
 * | `backend_corrupt` | the store's content cannot be understood; nothing was changed |
 * | `backend_version` | a newer program wrote the store; it can be read but not written |
 * | `backend_locked` | another process holds the lock, or took it over |
 * | `backend_too_large` | the entry is larger than the store can hold |
 * | `backend_full` | no space is left |
 * | `backend_unavailable` | the store cannot be reached, or an operation failed for another reason |
 * | `backend_timeout` | the store did not answer within the time limit |
 * | `keychain_locked` | the OS keychain is locked |
 * | `decryption_failed` | an encrypted entry was changed, moved, or sealed with another key |
 * | `encryption_key_unknown` | an entry names an encryption key that was not given |
 * | `backend_unproven` | a write, read, delete round trip gave back something else |
 * | `backend_no_list` | the backend cannot list its keys |
 * | `unstable_kv_required` | Deno KV needs `--unstable-kv` |
 * | `home_unset` | the home directory is not known |
 * | `invalid_options` | an option is unknown or has a wrong value |
 * | `invalid_backend` | an object lacks `get`, `put` or `delete` |
 * | `invalid_permissions` | a backend declares something that is not a permission, or that no flag can hold |
 * | `backend_spec_invalid` | `VM_OIDC_CREDENTIALS_BACKEND` cannot be understood |
 * | `backend_import_unsupported` | a module address that Deno does not import from a package |
 * | `backend_import_failed` | the backend's module did not load |
 * | `backend_export_missing` | the module has no such export |
 * | `backend_not_constructible` | the export is not a class, or its constructor failed |
 * | `backend_kwargs_invalid` | `VM_OIDC_CREDENTIALS_BACKEND_KWARGS` is not one JSON object |
 * | `env_invalid` | another variable has a value that cannot be understood |
 * | `env_unset` | a `${NAME}` in the KWARGS is not set |
 * | `runtime_unsupported` | this Deno is older than 2.7.1, or this is Node or Bun |
 *
 * @category Errors
 */
export type CredentialsBackendErrorCode =
  | "permission_required"
  | "backend_denied"
  | "backend_auth_failed"
  | "backend_corrupt"
  | "backend_version"
  | "backend_locked"
  | "backend_too_large"
  | "backend_full"
  | "backend_unavailable"
  | "backend_timeout"
  | "keychain_locked"
  | "decryption_failed"
  | "encryption_key_unknown"
  | "backend_unproven"
  | "backend_no_list"
  | "unstable_kv_required"
  | "home_unset"
  | "invalid_options"
  | "invalid_backend"
  | "invalid_permissions"
  | "backend_spec_invalid"
  | "backend_import_unsupported"
  | "backend_import_failed"
  | "backend_export_missing"
  | "backend_not_constructible"
  | "backend_kwargs_invalid"
  | "env_invalid"
  | "env_unset"
  | "runtime_unsupported";

/**
 * A failure of a store. It never means "not signed in": `get` gives `undefined` for that.
 *
 * The message reads "Cannot X: reason. What to do." and names the file, host, variable or flag;
 * {@linkcode CredentialsBackendErrorCode} is for programs. Neither holds a token or another secret.
 *
 * @category Errors
 *
 * @example
 * ```ts
 * import { CredentialsBackendError, FileCredentialsBackend } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * try {
 *   new FileCredentialsBackend({ path: "" });
 * } catch (error) {
 *   if (!(error instanceof CredentialsBackendError)) throw error;
 *   assertEquals(error.code, "invalid_options");
 * }
 * ```
 */
export class CredentialsBackendError extends Error {
  static {
    knowCopies(this, "CredentialsBackendError");
  }

  /** The failure, for programs. */
  readonly code: CredentialsBackendErrorCode;

  /**
   * Makes an error.
   *
   * @param code The failure.
   * @param message A string: "Cannot X: reason. What to do."
   * @param options A cause, which must hold no secret.
   */
  constructor(code: CredentialsBackendErrorCode, message: Message, options?: ErrorOptions) {
    super(String(message), options);
    this.code = code;
    showCode(this, message);
  }
}

/** An option or a call in a message. Code and command line have different words for it. */
export interface Term {
  readonly kind: "option" | "call";
  readonly name: string;
  /** The value of an option, or the options of a call. */
  readonly value?: unknown;
  /** The variable that stands in for an option. */
  readonly variable?: string;
  readonly inCode: string;
}

/** The words for a term; `undefined` for those of code. */
export type Vocabulary = (term: Term) => string | undefined;

/** A message with the options and calls that it names, kept apart. As a string it speaks of code. */
export class Words {
  readonly #parts: readonly (string | Term)[];

  constructor(parts: readonly (string | number | Term | Words)[]) {
    this.#parts = parts.flatMap((part) =>
      part instanceof Words ? part.#parts : typeof part === "number" ? String(part) : part
    );
  }

  /** The message in other words. */
  in(vocabulary: Vocabulary): string {
    const wordFor = (term: Term) => vocabulary(term) ?? term.inCode;
    return this.#parts.map((part) => typeof part === "string" ? part : wordFor(part)).join("");
  }

  toString(): string {
    return this.in(() => undefined);
  }
}

/** A message, with or without terms. Holds no secret. */
export type Message = string | Words;

/**
 * A tag that makes a message of text and terms: see {@linkcode option} and {@linkcode call}. A line
 * break in the template, with the spaces after it, counts as one space.
 */
export function words(
  texts: TemplateStringsArray,
  ...values: (string | number | Term | Words)[]
): Words {
  const part = (text: string) => text.replace(/\n\s*/g, " ");
  return new Words(texts.flatMap((text, at) => [part(text), ...values.slice(at, at + 1)]));
}

/** An option in a message, such as `flow: "device" (VM_OIDC_FLOW)`. */
export function option(
  name: string,
  { value, variable }: { value?: string | boolean; variable?: string } = {},
): Term {
  const given = value === undefined ? name : `${name}: ${JSON.stringify(value)}`;
  const inCode = variable === undefined ? given : `${given} (${variable})`;
  return { kind: "option", name, value, ...(variable !== undefined && { variable }), inCode };
}

/** A call in a message, such as `clearOidcCredentials({ all: true })`. */
export function call(
  name: string,
  options: Readonly<Record<string, unknown>> = {},
  inCode: string = `${name}(${callOptions(options)})`,
): Term {
  return { kind: "call", name, value: options, inCode };
}

function callOptions(options: Readonly<Record<string, unknown>>): string {
  const pairs = Object.entries(options).map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
  return pairs.length === 0 ? "" : `{ ${pairs.join(", ")} }`;
}

const KEPT = new WeakMap<Error, Words>();

/** The code of this module in the frames of a stack. */
const OWN_CODE = ["backends/", "client/"].flatMap((folder) =>
  URL.parse(`../${folder}`, import.meta.url)?.href ?? []
);

const MOST_FRAMES = 100;

/**
 * Puts the code of an error into its name, which Deno prints for an uncaught error. Keeps the terms of its
 * message.
 */
export function showCode(error: Error & { readonly code: string }, message: Message): void {
  if (message instanceof Words) KEPT.set(error, message);
  const value = `${error.name} [${error.code}]`;
  Object.defineProperty(error, "name", { value, configurable: true, writable: true });
  showCaller(error);
}

/**
 * Lets the stack of an error begin in the caller's cell or file. The frames come from another object: once
 * the stack of an error was read, Deno prints those frames for an uncaught error, whatever is set later.
 */
export function showCaller(error: Error): void {
  const trace = { stack: "" };
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = MOST_FRAMES; // of which the caller's are the last
  Error.captureStackTrace(trace);
  Error.stackTraceLimit = limit;
  setFrames(error, framesOf(trace.stack).slice(0, limit));
}

/** The frames of a stack that are not of this module. */
export function framesOf(stack: string): string[] {
  const [, ...frames] = stack.split("\n    at ");
  return frames.filter((frame) => !OWN_CODE.some((folder) => frame.includes(folder)));
}

/** The message is one line there: of an uncaught error Deno prints the message, and its stack from line 2. */
export function setFrames(error: Error, frames: readonly string[]): void {
  const message = error.message.replaceAll(/\s*\n\s*/g, " ");
  error.stack = [`${error.name}: ${message}`, ...frames].join("\n    at ");
}

/** The message of an error with its terms, to be a part of another message. */
export function wordsOf(error: Error): Message {
  return KEPT.get(error) ?? error.message;
}

/** The message of an error in other words, such as those of the command line. */
export function messageFor(error: Error, vocabulary: Vocabulary): string {
  return KEPT.get(error)?.in(vocabulary) ?? error.message;
}

/** Lets `instanceof` know the errors of another copy of this module. */
// deno-lint-ignore ban-types
export function knowCopies(ownClass: Function & { prototype: Error }, name: string): void {
  Object.defineProperty(ownClass, "name", { value: name }); // also in minified code
  const mark = Symbol.for(`@validmind/auth ${name}`);
  Object.defineProperties(ownClass.prototype, {
    name: { value: name, configurable: true, writable: true },
    [mark]: { value: true },
  });
  const hasInstance = Function.prototype[Symbol.hasInstance];
  Object.defineProperty(ownClass, Symbol.hasInstance, {
    value(error: unknown): boolean {
      const isMarked = this === ownClass && error instanceof Error && mark in error;
      return isMarked || hasInstance.call(this, error);
    },
  });
}

type Kind = readonly [words: string, fits: (value: unknown) => boolean];

const KINDS = {
  any: ["", () => true],
  text: ["a string", isText],
  string: ["a string", (value) => typeof value === "string"],
  path: [
    'a plain path without "~/", "file:" and "$NAME" (in the KWARGS variable: "${HOME}/…", on Windows ' +
    '"${USERPROFILE}/…")',
    (value) => isText(value) && !/^(~[/\\]|file:|%)|\$[A-Z{]/.test(value),
  ],
  boolean: ["a boolean", (value) => typeof value === "boolean"],
  function: ["a function", (value) => typeof value === "function"],
  "text or function": [
    "a string or a function",
    (value) => typeof value === "function" || isText(value),
  ],
  object: ["an object", (value) => typeof value === "object" && value !== null],
  array: ["an array", Array.isArray],
  texts: ["a plain object of strings", isTexts],
  signal: ["an AbortSignal", (value) => value instanceof AbortSignal],
  milliseconds: [
    "a number of milliseconds, 0 or more",
    (value) => typeof value === "number" && value >= 0,
  ],
  timeout: ["a number of milliseconds above 0", (value) => typeof value === "number" && value > 0],
} satisfies Record<string, Kind>;

/** The kind of each option by its name; an array holds the values that an option may have. */
export type OptionTypes = Readonly<Record<string, keyof typeof KINDS | readonly string[]>>;

/**
 * Refuses unknown options, and values that do not fit. No value is shown: it may be a secret in the
 * wrong place. An option that is `undefined` counts as absent.
 */
export function checkOptions(
  action: string,
  options: unknown,
  types: OptionTypes,
  fail = (message: string): Error => new CredentialsBackendError("invalid_options", message),
): void {
  const names = Object.keys(types);
  const offer = names.length === 0 ? "It takes none." : `It takes: ${names.join(", ")}.`;
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw fail(`Cannot ${action}: its options are not an object. ${offer}`);
  }
  for (const [name, value] of Object.entries(options)) {
    const type = Object.hasOwn(types, name) ? types[name] : undefined;
    if (type === undefined) {
      const shown = name.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ").slice(0, 100);
      throw fail(
        `Cannot ${action}: unknown option "${shown}". ${didYouMean(name, names) || offer}`,
      );
    }
    const fault = value === undefined ? undefined : faultOf(value, type);
    if (fault === undefined) continue;
    throw fail(`Cannot ${action}: option "${name}" is ${fault}. Correct it, or leave it out.`);
  }
}

/** "Did you mean …?" for a name that differs from a known one by few letters, else an empty text. */
export function didYouMean(name: string, known: readonly string[]): string {
  const letters = (text: string) => text.toLowerCase().replaceAll(/[-_]/g, "");
  const offBy = (one: string) => differences(letters(name), letters(one));
  const near = known.toSorted((one, other) => offBy(one) - offBy(other))[0];
  const isNear = near !== undefined && offBy(near) <= Math.max(1, letters(name).length / 4);
  return isNear ? `Did you mean "${near}"?` : "";
}

/** The number of letters that only one of two words has, whatever their order. */
function differences(one: string, other: string): number {
  let rest = other;
  const lacking = [...one].filter((letter) => rest === (rest = rest.replace(letter, "")));
  return Math.max(lacking.length, rest.length);
}

/** What is wrong with a value; `undefined` where the value fits. */
function faultOf(value: unknown, type: OptionTypes[string]): string | undefined {
  if (typeof type !== "string") {
    return type.some((one) => one === value) ? undefined : `not one of ${type.join(", ")}`;
  }
  const [words, fits]: Kind = KINDS[type];
  if (fits(value)) return undefined;
  return typeof value === "string" && value.trim() === "" ? "empty" : `not ${words}`;
}

/** A Map or a URLSearchParams has no members of its own: its values would be lost. */
function isTexts(value: unknown): boolean {
  return typeof value === "object" && value !== null &&
    [Object.prototype, null].includes(Object.getPrototypeOf(value)) &&
    Object.values(value).every((one) => typeof one === "string");
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value.trim() !== "";
}

/** Refuses an object that lacks one of the three methods. */
export function assertCredentialsBackend(
  value: unknown,
  origin: string,
): asserts value is OidcCredentialsBackend {
  const members = (value ?? {}) as Record<string, unknown>;
  const missing = ["get", "put", "delete"].find((name) => typeof members[name] !== "function");
  if (missing === undefined) return;
  throw new CredentialsBackendError(
    "invalid_backend",
    `Cannot use ${origin} as a credentials backend: it has no method ${missing}(). Implement get, ` +
      `put and delete as OidcCredentialsBackend describes.`,
  );
}

/** The name of a backend's class, where it has a plain one. */
export function backendName(backend: OidcCredentialsBackend): string {
  const name = backend.constructor?.name ?? "";
  return /^[\w$]{1,60}$/.test(name) && name !== "Object" ? name : "the credentials backend";
}
