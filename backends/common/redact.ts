import { toBase64 } from "./printable.ts";

/** As much of a secret as gives it away. Shorter pieces turn up by chance. */
const PIECE = 6;

/** One character that is escaped for a URL, JSON or HTML, once or several times over. */
const ESCAPE =
  /%(?:25){0,8}([\da-f]{2})|\\{1,8}u(d[89ab][\da-f]{2})\\{1,8}u(d[c-f][\da-f]{2})|\\{1,8}u([\da-f]{4})|\\{1,8}([bfnrt])|&(?:amp;){0,8}#(?:x0{0,8}([\da-f]{1,5})|0{0,8}(\d{1,6}));|&(?:amp;){0,8}(amp|lt|gt|quot|apos);/iy;

/**
 * Removes secrets from a text from outside, which may echo them: whole, cut short, in pieces,
 * wrapped, in hexadecimal, in base64 once or twice over, or escaped for a URL, JSON or HTML. Every run
 * of six characters, or of six letters and digits, that the text shares with a secret is removed with
 * the rest of its word. Takes linear time.
 */
export function redact(text: string, secrets: Iterable<string>): string {
  const found = findPieces(text, secrets);
  let clean = "";
  let kept = 0;
  for (let at = found.indexOf(1); at !== -1; at = found.indexOf(1, kept)) {
    clean += `${text.slice(kept, at)}[removed]`;
    kept = at;
    while (found[kept] === 1) {
      const end = found.indexOf(0, kept);
      kept = end === -1 ? text.length : endOfWord(text, end);
    }
  }
  return clean + text.slice(kept);
}

/** Whether {@linkcode redact} would remove anything. */
export function sharesPiece(text: string, secrets: Iterable<string>): boolean {
  return findPieces(text, secrets).includes(1);
}

/** Marks the characters of a text that it shares with a secret. */
function findPieces(text: string, secrets: Iterable<string>): Uint8Array {
  const found = new Uint8Array(text.length);
  const all = [...secrets];
  const whole = decode(text);
  const streams = [whole, ...decodings(whole)].map((stream) => [stream, letters(stream)] as const);
  // Of long secrets, only the runs of the text are kept: a set of millions takes seconds.
  const isLonger = all.reduce((sum, { length }) => sum + length, 0) > text.length;
  const pieces = new Runs(isLonger ? streams.map(([stream]) => stream) : undefined);
  const letterPieces = new Runs(isLonger ? streams.map(([, stream]) => stream) : undefined);
  for (const secret of all) {
    const bytes = bytesOf(secret);
    if (bytes.length < PIECE) markShort(found, whole, bytes);
    else pieces.add(bytes);
    letterPieces.add(bytes.filter(isLetter));
    for (const form of base64Forms(secret)) letterPieces.add(form);
  }
  for (const [stream, streamOfLetters] of streams) {
    mark(found, stream, pieces.found, PIECE);
    mark(found, streamOfLetters, letterPieces.found, PIECE);
  }
  return found;
}

/** The runs of secrets, or of these the ones that the text has, too. */
class Runs {
  readonly found = new Set<number>();
  readonly #inText: Set<number> | undefined;

  constructor(text?: readonly Decoded[]) {
    if (text === undefined) return;
    const inText = this.#inText = new Set();
    for (const { bytes } of text) eachRun(bytes, PIECE, (run) => inText.add(run));
  }

  add(secret: ArrayLike<number>): void {
    const inText = this.#inText;
    eachRun(secret, PIECE, (run) => {
      if (inText === undefined || inText.has(run)) this.found.add(run);
    });
  }
}

/** The bytes of a secret, without the escapes that it may have itself. */
function bytesOf(secret: string): Uint8Array {
  const hasEscapes = /[%&\\]/.test(secret);
  return hasEscapes ? new Uint8Array(decode(secret).bytes) : new TextEncoder().encode(secret);
}

function markShort(found: Uint8Array, text: Decoded, secret: Uint8Array): void {
  if (secret.length === 0) return;
  const runs = new Set<number>();
  eachRun(secret, secret.length, (run) => runs.add(run));
  mark(found, text, runs, secret.length);
}

/** The bytes of a text without its escapes, each with its place in the text. */
class Decoded {
  readonly bytes: number[] = [];
  readonly starts: number[] = [];
  readonly ends: number[] = [];

  add(byte: number, start: number, end: number): void {
    this.bytes.push(byte);
    this.starts.push(start);
    this.ends.push(end);
  }
}

function decode(text: string): Decoded {
  const decoded = new Decoded();
  for (let at = 0; at < text.length;) {
    const code = text.codePointAt(at)!;
    ESCAPE.lastIndex = at;
    const escape = code === 0x25 || code === 0x26 || code === 0x5c ? ESCAPE.exec(text) : null;
    const end = at + (escape?.[0].length ?? (code > 0xffff ? 2 : 1));
    if (escape !== null) { for (const byte of unescape(escape)) decoded.add(byte, at, end); }
    else if (code < 0x80) decoded.add(code, at, end);
    else {
      const bytes = new TextEncoder().encode(text.slice(at, end));
      for (const byte of bytes) decoded.add(byte, at, end);
    }
    at = end;
  }
  return decoded;
}

function unescape(
  [, byte, high, low, unit, blank, hex, decimal]: RegExpExecArray,
): Iterable<number> {
  if (byte !== undefined) return [parseInt(byte, 16)];
  if (blank !== undefined) return [0x20];
  const text = high !== undefined
    ? String.fromCharCode(parseInt(high, 16), parseInt(low!, 16))
    : unit !== undefined
    ? String.fromCharCode(parseInt(unit, 16))
    : hex !== undefined
    ? String.fromCodePoint(parseInt(hex, 16))
    : decimal !== undefined
    ? String.fromCodePoint(Number(decimal))
    : " "; // a named character of HTML, none of which is a letter
  return new TextEncoder().encode(text);
}

/** Letters, digits and bytes beyond ASCII: the same in a wrapped text and in both kinds of base64. */
function letters(text: Decoded): Decoded {
  return pick(text, (byte) => isLetter(byte) ? byte : undefined);
}

function isLetter(byte: number): boolean {
  const lower = byte | 0x20;
  return (byte >= 0x30 && byte <= 0x39) || (lower >= 0x61 && lower <= 0x7a) || byte >= 0x80;
}

/**
 * What the text says as hexadecimal digits and as base64, from each place where a group can begin, and
 * the hexadecimal digits in the base64.
 */
function* decodings(text: Decoded): Generator<Decoded> {
  yield* hexadecimal(text);
  const digits = pick(text, (byte) => BASE64.get(byte));
  for (const first of [0, 1, 2, 3]) {
    const decoded = fromBase64(digits, first);
    yield decoded;
    yield* hexadecimal(decoded);
  }
}

function* hexadecimal(text: Decoded): Generator<Decoded> {
  const digits = pick(text, (byte) => isLetter(byte) ? hexValue(byte) ?? -1 : undefined);
  for (const first of [0, 1]) {
    const decoded = new Decoded();
    for (let at = first; at + 1 < digits.bytes.length; at += 2) {
      const [high, low] = [digits.bytes[at]!, digits.bytes[at + 1]!];
      const byte = high < 0 || low < 0 ? 0 : high * 16 + low;
      decoded.add(byte, digits.starts[at]!, digits.ends[at + 1]!);
    }
    yield decoded;
  }
}

function hexValue(byte: number): number | undefined {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : undefined;
}

const BASE64 = new Map(
  [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"]
    .map((digit, value) => [digit.charCodeAt(0), value] as const),
).set(0x2d, 62).set(0x5f, 63);

function fromBase64({ bytes, starts, ends }: Decoded, first: number): Decoded {
  const decoded = new Decoded();
  for (let at = first; at + 3 < bytes.length; at += 4) {
    const group = (bytes[at]! << 18) | (bytes[at + 1]! << 12) | (bytes[at + 2]! << 6) |
      bytes[at + 3]!;
    for (const shift of [16, 8, 0]) {
      decoded.add((group >> shift) & 0xff, starts[at]!, ends[at + 3]!);
    }
  }
  return decoded;
}

/** The values of some characters of a text, with their places; `undefined` leaves one out. */
function pick(
  { bytes, starts, ends }: Decoded,
  valueOf: (byte: number) => number | undefined,
): Decoded {
  const picked = new Decoded();
  for (let at = 0; at < bytes.length; at++) {
    const value = valueOf(bytes[at]!);
    if (value !== undefined) picked.add(value, starts[at]!, ends[at]!);
  }
  return picked;
}

/** The letters of a secret in base64, as the secret stands at each place of a group of three. */
function base64Forms(secret: string): Uint8Array[] {
  const bytes = new TextEncoder().encode(secret);
  return [0, 1, 2].map((before) => {
    const padded = new Uint8Array(before + bytes.length);
    padded.set(bytes, before);
    // The first characters also hold bits of the bytes before the secret.
    const text = toBase64(padded).slice(before && before + 1);
    return new TextEncoder().encode(text).filter(isLetter);
  });
}

/** Marks the runs of `length` bytes that are among `runs`. */
function mark(found: Uint8Array, text: Decoded, runs: Set<number>, length: number): void {
  if (runs.size === 0) return;
  eachRun(text.bytes, length, (run, at) => {
    if (runs.has(run)) found.fill(1, text.starts[at], text.ends[at + length - 1]);
  });
}

/** Visits every run of `length` bytes, six at most, as one number and with its place. */
function eachRun(
  bytes: ArrayLike<number>,
  length: number,
  visit: (run: number, at: number) => void,
): void {
  const [highBits, lowBits] = [8 * Math.max(length - 3, 0), 8 * Math.min(length, 3)];
  const [highMask, lowMask] = [2 ** highBits - 1, 2 ** lowBits - 1];
  let high = 0;
  let low = 0;
  for (let end = 0; end < bytes.length; end++) {
    high = ((high << 8) | (low >>> (lowBits - 8))) & highMask;
    low = ((low << 8) | bytes[end]!) & lowMask;
    if (end >= length - 1) visit(high * 2 ** lowBits + low, end - length + 1);
  }
}

/** The end of a word: characters that adjoin a secret may belong to it. */
function endOfWord(text: string, from: number): number {
  const word = /[^\s"'<>&]*/y;
  word.lastIndex = from;
  word.exec(text);
  return word.lastIndex;
}
