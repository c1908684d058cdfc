import { untilAborted } from "./delay.ts";

/** As much of a secret as gives it away: prefixes count too. */
const PREFIX = 12;

const NAMED: Record<string, string> = {
  "&": "amp",
  "<": "lt",
  ">": "gt",
  '"': "quot",
  "'": "apos",
};

/** Text from outside as it may be shown: without control characters, and not longer than `limit`. */
export function printable(text: string, limit = 200): string {
  // \p{C}: control and format characters, among them escape sequences and direction overrides.
  const clean = text.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ").trim();
  return clean.length > limit ? `${clean.slice(0, limit)}…` : clean;
}

/**
 * Takes secrets out of a text from outside, which may echo what it was sent: whole or cut short,
 * and with any of its characters percent-encoded, or escaped for JSON or HTML.
 */
export function redact(text: string, secrets: Iterable<string>): string {
  let clean = text;
  for (const secret of secrets) {
    if (secret !== "") clean = redactOne(clean, [...secret]);
  }
  return clean;
}

function redactOne(text: string, secret: string[]): string {
  const start = new RegExp(secret.slice(0, PREFIX).map(anyForm).join(""), "g");
  let clean = "";
  let kept = 0;
  for (let found = start.exec(text); found !== null; found = start.exec(text)) {
    const end = skipWord(text, skipSecret(text, start.lastIndex, secret.slice(PREFIX)));
    clean += `${text.slice(kept, found.index)}[removed]`;
    start.lastIndex = kept = end;
  }
  return clean + text.slice(kept);
}

/** Where the rest of the secret stops: it may have characters in it at which a word would end. */
function skipSecret(text: string, from: number, rest: string[]): number {
  const forms = new Map<string, RegExp>();
  let at = from;
  for (const character of rest) {
    const form = forms.get(character) ?? new RegExp(anyForm(character), "y");
    forms.set(character, form);
    form.lastIndex = at;
    if (!form.test(text)) break;
    at = form.lastIndex;
  }
  return at;
}

/** Where the word stops: what is glued to a secret may belong to it. */
function skipWord(text: string, from: number): number {
  const word = /[^\s"'<>&]*/y;
  word.lastIndex = from;
  word.exec(text);
  return word.lastIndex;
}

/** A pattern of one character in all the ways that it may be written. */
function anyForm(character: string): string {
  const bytes = [...new TextEncoder().encode(character)];
  const code = character.codePointAt(0)!;
  const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at));
  return `(?:${
    [
      bytes.map((byte) => `%(?:25)*${hex(byte, 2)}`).join(""),
      units.map((unit) => `\\\\u${hex(unit, 4)}`).join(""),
      `&(?:amp;)*#(?:0*${code}|[xX]0*${hex(code)});`,
      ...(character in NAMED ? [`&(?:amp;)*${NAMED[character]};`] : []),
      ...(character === " " ? ["\\+"] : []),
      `\\\\?${RegExp.escape(character)}`,
    ].join("|")
  })`;
}

/** A hexadecimal number as a pattern, in capitals or not. */
function hex(value: number, length = 1): string {
  const digits = value.toString(16).padStart(length, "0");
  return digits.replace(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`);
}

/**
 * An error as it may become a cause. Deno's own say where a connection failed; one of a caller's
 * `fetch` may carry the whole request, tokens included, and is left out.
 */
export function safeCause(error: unknown): { cause?: unknown } {
  if (!(error instanceof Error)) return {};
  const isOwn = error instanceof TypeError || error instanceof DOMException ||
    Object.values(Deno.errors).some((known) => error instanceof known);
  return isOwn && isBare(error) ? { cause: error } : {};
}

/** Whether an error carries nothing beside its text, and its cause, if any, is as bare. */
function isBare(error: Error): boolean {
  const { cause } = error;
  const isCauseBare = cause === undefined ||
    (cause instanceof Error && cause.constructor === Error && isBare(cause));
  return isCauseBare && Object.keys(error).every((name) => name === "code" || name === "name");
}

/**
 * The body of an answer as text. The signal ends it, also where the body comes from a `fetch` of
 * the caller's that does not pass signals on.
 *
 * @param overflow What becomes of a body that is larger than `maxBytes`, whose rest is not read.
 * @returns The text; `undefined` when it is too large and not to be cut.
 */
export async function readText(
  response: Response,
  signal: AbortSignal,
  maxBytes = Infinity,
  overflow: "refuse" | "cut" = "refuse",
): Promise<string | undefined> {
  if (response.body === null) return "";
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await untilAborted(reader.read(), signal);
      if (done) return text + decoder.decode();
      size += value.length;
      if (size > maxBytes && overflow === "refuse") return undefined;
      text += decoder.decode(value, { stream: true });
      if (size > maxBytes) return text;
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}
