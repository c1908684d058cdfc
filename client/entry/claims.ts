/** The unchecked claims of a token, or its header (part 0), for display and expiry only. */
export function readClaims(token: string, part: 0 | 1 = 1): Record<string, unknown> | undefined {
  try {
    // Deno before 2.5 has no Uint8Array.fromBase64.
    const text = atob(token.split(".")[part]!.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)) ?? undefined;
  } catch {
    return undefined;
  }
}
