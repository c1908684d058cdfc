/** As much of a secret as gives it away: prefixes count too. */
const PREFIX = 12;

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

const NAMED: Record<string, string> = {
  "&": "amp",
  "<": "lt",
  ">": "gt",
  '"': "quot",
  "'": "apos",
};

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
