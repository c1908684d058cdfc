const PLAIN = /^[\x20-\x7e]*$/;

/** A text from outside for display: without control characters, and cut after `limit` characters. */
export function printable(text: string, limit = 500): string {
  let clean = text.trim();
  // Control and format characters, among them escape sequences and direction overrides. The expression is
  // made here, and not at a start: V8 looks up the characters of each class when it makes one.
  if (!PLAIN.test(clean)) clean = clean.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ").trim();
  if (clean.length <= limit) return clean;
  return `${clean.slice(0, limit)}…`;
}
