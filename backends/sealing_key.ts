import type { Derivation } from "./sealed_row.ts";

/** A key ready for use: what entries are sealed with, and the id by which they name it. */
export interface SealingKey {
  /** Names the key without telling anything about it. */
  readonly id: string;
  /** AES-256-GCM; not extractable. */
  readonly aes: CryptoKey;
  /** How it came from a passphrase, if it did: stored with each entry. */
  readonly derivation?: Derivation;
}

/** Length of a key, in bytes. */
export const KEY_BYTES = 32;

/**
 * Makes a key of 32 secret bytes. The key that encrypts and the id come from them by HKDF
 * ({@link https://www.rfc-editor.org/rfc/rfc5869 RFC 5869}), so that the id, which is stored in
 * clear, says nothing of the key.
 *
 * @param bytes Wiped before it returns.
 */
export async function sealingKey(
  bytes: Uint8Array<ArrayBuffer>,
  id?: string,
  derivation?: Derivation,
): Promise<SealingKey> {
  const root = await crypto.subtle.importKey("raw", bytes, "HKDF", false, [
    "deriveKey",
    "deriveBits",
  ]);
  bytes.fill(0);
  const [aes, name] = await Promise.all([
    crypto.subtle.deriveKey(
      hkdf("encryption"),
      root,
      { name: "AES-GCM", length: 256 },
      false,
      ["encrypt", "decrypt"],
    ),
    id ??
      crypto.subtle.deriveBits(hkdf("key id"), root, 64).then((bits) =>
        new Uint8Array(bits).toHex()
      ),
  ]);
  return {
    id: name,
    aes,
    ...(derivation !== undefined && { derivation }),
  };
}

function hkdf(purpose: string): HkdfParams {
  const info = new TextEncoder().encode(`@validmind/auth ${purpose} 1`);
  return { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0), info };
}
