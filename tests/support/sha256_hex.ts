/** The lower-case hex SHA-256 of a UTF-8 string: what request logs keep in place of a secret. */
export async function sha256Hex(value: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(value));
  return new Uint8Array(digest).toHex();
}
