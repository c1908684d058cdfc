import type { MaybePromise, OidcCredentialsBackend } from "../oidc_credentials_backend.ts";

/**
 * A key for the encryption of entries:
 *
 * | form | key |
 * |---|---|
 * | `Uint8Array` | these 32 random bytes, of which a copy is taken |
 * | `{ env: "MY_KEY" }` | 32 random bytes in that variable, as hex, base64 or base64url |
 * | `{ passphrase }` | derived from a text, from the result of a function (such as a prompt of yours), or from a variable: `{ env: "MY_PASSPHRASE" }` |
 * | `{ backend }` | random, made at the first write and kept in another backend, such as the OS keychain |
 *
 * Entries name their key by a fingerprint.
 *
 * @category Backends
 */
export type EncryptionKey =
  | Uint8Array
  | VariableKey
  | PassphraseKeyOptions
  | StoredKeyOptions;

/**
 * A key in a variable, which is read at the first use.
 *
 * @category Backends
 */
export interface VariableKey {
  /** The variable with 32 random bytes as hex, base64 or base64url. */
  env: string;
}

/**
 * A key that is derived with PBKDF2 (HMAC with SHA-256, 600,000 iterations) and a random salt, once in a
 * process. An entry that names more than 2,000,000 iterations is not read: a planted entry must not
 * keep its reader busy.
 *
 * @category Backends
 */
export interface PassphraseKeyOptions {
  /** At least 12 characters. A function or a variable is read at the first use. */
  passphrase: string | (() => MaybePromise<string>) | { env: string };
}

/**
 * A random key in another backend.
 *
 * @category Backends
 */
export interface StoredKeyOptions {
  /**
   * The store of the key. It cannot be the store of the entries, and is best a place that holds
   * nothing else, such as a keychain service of its own: clearing all of that place removes the key.
   */
  backend: OidcCredentialsBackend;
}
