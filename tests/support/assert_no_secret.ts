import { assert, AssertionError } from "@std/assert";
import { SECRETS } from "./entries.ts";

/** Shorter pieces come up by chance; a prefix of a token counts as the token. */
const PIECE = 8;

/**
 * Where the hash of a piece of any secret is marked. A text has thousands of pieces, and nearly none is
 * of a secret: only a marked one is cut out and looked for.
 */
const marks = new Uint8Array(1 << 20);

/** Pieces of the secrets that {@linkcode rememberSecret} was given. */
const remembered = new Set(Object.values(SECRETS).flatMap(pieces));

/** Of these, what only the header and the claims of a JWT hold. */
const claims = new Set<string>();

/** Secrets whose pieces are not among the {@linkcode remembered} yet: most test files look for none. */
const unread: string[] = [];

/** Makes {@linkcode assertNoSecret} look for this secret in the rest of this test file, too. */
export function rememberSecret(secret: string): void {
  assertLong(secret);
  unread.push(secret);
}

function takeApart(secret: string): void {
  const parts = secret.split(".");
  if (parts.length === 3) {
    // Their pieces are known to anybody, as those of the time of day are.
    for (const piece of parts.slice(0, 2).flatMap(pieces)) claims.add(piece);
  }
  for (const piece of pieces(secret)) remembered.add(piece);
}

/**
 * Fails when a piece of a secret shows in any way that a value can be printed, logged or
 * serialised: for an error also its message, its stack and all its causes.
 *
 * The secrets of `entries.ts`, and the tokens and device codes that the providers of this test file
 * have issued, are always among the secrets.
 *
 * @param options.claims Whether a piece of a JWT's header or claims is one of a secret. What other
 * programs write in base64 can share such pieces: the time in a cookie of JupyterHub does. A whole
 * token is found by its signature. @default {true}
 */
export function assertNoSecret(
  value: unknown,
  secrets: Iterable<string> = [],
  options: { claims?: boolean } = {},
): void {
  unread.splice(0).forEach(takeApart);
  const wanted = new Set([...secrets].flatMap(pieces));
  const texts = new Set<string>();
  for (const [way, text] of renderings(value)) {
    if (texts.has(text)) continue;
    texts.add(text);
    for (const start of markedPieces(text)) {
      const piece = text.slice(start, start + PIECE);
      // The text stays out of the message: a test's output is a log, too.
      if (wanted.has(piece) || isRemembered(piece, options.claims ?? true)) {
        throw new AssertionError(`${way} shows a secret`);
      }
    }
  }
}

function isRemembered(piece: string, withClaims: boolean): boolean {
  return remembered.has(piece) && (withClaims || !claims.has(piece));
}

/** Where a piece may begin that is one of a secret. */
function* markedPieces(text: string): Generator<number> {
  let hash = 0;
  for (let at = 0; at < text.length; at++) {
    hash = nextHash(hash, text, at);
    if (at >= PIECE - 1 && marks[placeOf(hash)] === 1) yield at - PIECE + 1;
  }
}

/** The hash of the {@linkcode PIECE} characters that end here: 4 bits a character leave the others out. */
function nextHash(hash: number, text: string, at: number): number {
  return ((hash << 4) + text.charCodeAt(at)) | 0;
}

function placeOf(hash: number): number {
  return (hash ^ (hash >>> 12)) & (marks.length - 1);
}

function mark(secret: string): void {
  let hash = 0;
  for (let at = 0; at < secret.length; at++) {
    hash = nextHash(hash, secret, at);
    if (at >= PIECE - 1) marks[placeOf(hash)] = 1;
  }
}

function pieces(secret: string): string[] {
  assertLong(secret);
  mark(secret);
  return Array.from(
    { length: secret.length - PIECE + 1 },
    (_, start) => secret.slice(start, start + PIECE),
  );
}

function assertLong(secret: string): void {
  assert(secret.length >= PIECE, "a secret is too short to be looked for");
}

function* renderings(value: unknown): Generator<[way: string, text: string]> {
  if (typeof value === "string") return yield ["a text", value];
  const whole = { depth: 10, strAbbreviateSize: Infinity, iterableLimit: Infinity };
  yield ["Deno.inspect", Deno.inspect(value, { ...whole, showHidden: true, getters: true })];
  yield ["String()", String(value)];
  yield ["JSON.stringify", stringify(value)];
  if (typeof value === "object" && value !== null) {
    for (const name of Reflect.ownKeys(value)) {
      yield [`property ${String(name)}`, stringify(Reflect.get(value, name))];
    }
  }
  if (!(value instanceof Error)) return;
  yield ["message", value.message];
  yield ["stack", value.stack ?? ""];
  for (const inner of value instanceof AggregateError ? value.errors : []) yield* renderings(inner);
  if (value.cause === undefined) return;
  for (const [way, text] of renderings(value.cause)) yield [`cause: ${way}`, text];
}

function stringify(value: unknown): string {
  return JSON.stringify(value) ?? "";
}
