/** The first use of {@linkcode UNSEEN} takes half a millisecond. */
const PLAIN = /^[\x20-\x7e]*$/;
/** Control and format characters, among them escape sequences and direction overrides. */
const UNSEEN = /[\p{C}\p{Zl}\p{Zp}]+/gu;

/** A text from outside for display: without control characters, and cut after `limit` characters. */
export function printable(text: string, limit = 200): string {
  const clean = (PLAIN.test(text) ? text : text.replace(UNSEEN, " ")).trim();
  if (clean.length <= limit) return clean;
  return `${clean.slice(0, limit)}…`;
}
