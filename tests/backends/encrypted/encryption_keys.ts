/** 32 bytes that look random and are the same in each run; one key for each number. */
export async function testKey(number = 1): Promise<Uint8Array<ArrayBuffer>> {
  const seed = new TextEncoder().encode(`a key of the tests, number ${number}`);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", seed));
}

/** What inspecting a key would show: for `assertNoSecret`. */
export function renderings(key: Uint8Array): string[] {
  return [key.toBase64(), key.toHex(), [...key].join(","), [...key].join(", ")];
}
