/** Text from outside as it may be shown: without control characters, and not longer than `limit`. */
export function printable(text: string, limit = 200): string {
  // \p{C}: control and format characters, among them escape sequences and direction overrides.
  const clean = text.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ").trim();
  return clean.length > limit ? `${clean.slice(0, limit)}…` : clean;
}
