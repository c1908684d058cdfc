export interface KeychainLimits {
  /** Longest value, in ASCII characters: a longer one is cut. */
  valueChars: number;
  /** Whether two accounts are one that differ only in upper and lower case. */
  ignoresCase: boolean;
}

/**
 * A value as it is kept: in one piece, or, where it is longer than the keychain takes, in chunks whose
 * number the head names.
 */
export interface ChunkedValue {
  /** The value under the account itself. It is written last. */
  head: string;
  chunks: string[];
  /** The name of this set of chunks. No other set has it. */
  generation?: string;
}

export interface ChunkedHead {
  generation: string;
  count: number;
}

/** Characters that have a meaning here, or that the name of an account would lose. */
// deno-lint-ignore no-control-regex
const UNSAFE = /[%#\x00-\x1f\x7f]|\p{Cs}/gu;
/** Beside that, all that has an upper and a lower case. */
// deno-lint-ignore no-control-regex
const UNSAFE_IN_ANY_CASE = /[%#A-Z\x00-\x1f\x7f-\u{10ffff}]/gu;

/** Stands for the empty key: macOS takes no empty name. */
const EMPTY = "%;";

const HEAD = /^validmind-auth chunks v1 ([\da-f]{12}) (\d{1,4})( |$)/;

/** Windows takes 2560 bytes of UTF-16. */
export function keychainLimits(os: typeof Deno.build.os = Deno.build.os): KeychainLimits {
  const isWindows = os === "windows";
  return { valueChars: isWindows ? 1280 : Infinity, ignoresCase: isWindows };
}

/**
 * The account of a key's entry: the key itself, except for characters that a keychain would lose or
 * that have a meaning here, which are percent-encoded.
 */
export function accountOf(key: string, { ignoresCase }: KeychainLimits): string {
  const unsafe = ignoresCase ? UNSAFE_IN_ANY_CASE : UNSAFE;
  return key.replace(unsafe, (char) => `%${char.codePointAt(0)!.toString(16)};`) || EMPTY;
}

/** The key of an account. `undefined` for the account of a chunk, and for one that no key has. */
export function keyOf(account: string, limits: KeychainLimits): string | undefined {
  const key = account === EMPTY ? "" : account.replace(
    /%([\da-f]{1,5}|10[\da-f]{4});/g,
    (_, code) => String.fromCodePoint(parseInt(code, 16)),
  );
  return accountOf(key, limits) === account ? key : undefined;
}

export function chunkAccount(account: string, generation: string, index: number): string {
  return `${account}#${generation}.${index}`;
}

/** Whether `other` is the account of a chunk of `account`, of any generation but `generation`. */
export function isStaleChunk(other: string, account: string, generation?: string): boolean {
  return other.startsWith(`${account}#`) &&
    (generation === undefined || !other.startsWith(`${account}#${generation}.`));
}

/** Cuts `text`, which is ASCII, if it is longer than `limit`. */
export function chunkValue(text: string, limit: number): ChunkedValue {
  if (text.length <= limit) return { head: text, chunks: [] };
  const generation = crypto.getRandomValues(new Uint8Array(6)).toHex();
  const chunks = Array.from(
    { length: Math.ceil(text.length / limit) },
    (_, index) => text.slice(index * limit, (index + 1) * limit),
  );
  const head = `validmind-auth chunks v1 ${generation} ${chunks.length}`;
  return { head, chunks, generation };
}

/** Parses a head. `undefined` where it is the value itself. */
export function parseHead(head: string): ChunkedHead | undefined {
  const [, generation, count] = HEAD.exec(head) ?? [];
  return generation === undefined ? undefined : { generation, count: Number(count) };
}

/** One character is one byte, and one UTF-16 unit, wherever the value is cut. */
export function toAscii(json: string): string {
  return json.replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
