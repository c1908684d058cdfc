import { CredentialsBackendError } from "./credentials_backend_error.ts";

/** A value in more pieces than this is another backend's business. */
export const MAX_CHUNKS = 128;

/** What a system's keychain can hold. */
export interface KeychainLimits {
  /** Longest value, in ASCII characters. */
  valueChars: number;
  /** In how many chunks a longer value may stand; 1 where none is ever cut. */
  maxChunks: number;
  /** Longest account name, in UTF-16 units. */
  accountChars: number;
  /** Whether two accounts are one that differ only in upper and lower case. */
  ignoresCase: boolean;
}

const WIDE: KeychainLimits = {
  valueChars: 1_048_576,
  maxChunks: 1,
  accountChars: Infinity,
  ignoresCase: false,
};

/** Windows: 2560 bytes of UTF-16 for a value, 513 characters for a name, of which a chunk's is longer. */
const WINDOWS: KeychainLimits = {
  valueChars: 1280,
  maxChunks: MAX_CHUNKS,
  accountChars: 470,
  ignoresCase: true,
};

/** The limits of a system. */
export function keychainLimits(os: typeof Deno.build.os = Deno.build.os): KeychainLimits {
  return os === "windows" ? WINDOWS : WIDE;
}

/** What has a meaning here, and what a keychain's name would lose. */
// deno-lint-ignore no-control-regex
const UNSAFE = /[%#\x00-\x1f\x7f]|\p{Cs}/gu;
/** Beside that, all that has an upper and a lower case. */
// deno-lint-ignore no-control-regex
const UNSAFE_IN_ANY_CASE = /[%#A-Z\x00-\x1f\x7f-\u{10ffff}]/gu;

/** Stands for the empty key: macOS takes no empty name. */
const EMPTY = "%;";

/**
 * The account under which a key's entry is kept: the key itself, but for characters that a keychain
 * would lose or that have a meaning here, which are percent-encoded.
 *
 * @throws {CredentialsBackendError} `backend_too_large` for a key that is longer than a name may be.
 */
export function accountOf(key: string, limits: KeychainLimits): string {
  const account = toAccount(key, limits);
  if (account.length <= limits.accountChars) return account;
  throw new CredentialsBackendError(
    "backend_too_large",
    `Cannot keep credentials in the OS keychain: the credential key "${key.slice(0, 100)}…" is ` +
      `longer than the ${limits.accountChars} characters that a name may have there. Use another ` +
      `backend.`,
  );
}

function toAccount(key: string, { ignoresCase }: KeychainLimits): string {
  const unsafe = ignoresCase ? UNSAFE_IN_ANY_CASE : UNSAFE;
  return key.replace(unsafe, (char) => `%${char.codePointAt(0)!.toString(16)};`) || EMPTY;
}

/** The key of an account; `undefined` for that of a chunk, and for one that no key has. */
export function keyOf(account: string, limits: KeychainLimits): string | undefined {
  const key = account === EMPTY ? "" : account.replace(
    /%([\da-f]{1,5}|10[\da-f]{4});/g,
    (_, code) => String.fromCodePoint(parseInt(code, 16)),
  );
  return toAccount(key, limits) === account ? key : undefined;
}

/** The account of one chunk. */
export function chunkAccount(account: string, generation: string, index: number): string {
  return `${account}#${generation}.${index}`;
}

/** Whether `other` is the account of a chunk of `account`, of any generation but `generation`. */
export function isStaleChunk(other: string, account: string, generation?: string): boolean {
  return other.startsWith(`${account}#`) &&
    (generation === undefined || !other.startsWith(`${account}#${generation}.`));
}
