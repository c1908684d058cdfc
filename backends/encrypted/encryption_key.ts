import type { MaybePromise, OidcCredentialsBackend } from "../oidc_credentials_backend.ts";

/**
 * A key for the encryption of entries:
 *
 * | form | key |
 * |---|---|
 * | `Uint8Array` or `{ bytes }` | these 32 random bytes |
 * | `{ env: "MY_KEY" }` | 32 random bytes in that variable, as hex, base64 or base64url |
 * | `{ passphrase }` | derived from a text, from the result of a function (such as a prompt of yours), or from a variable: `{ env: "MY_PASSPHRASE" }` |
 * | `{ backend }` | random, made at the first write and kept in another backend, such as the OS keychain |
 *
 * Entries name their key by its `id`. Without one they name it by a fingerprint.
 *
 * @category Backends
 */
export type EncryptionKey =
  | Uint8Array
  | BytesKey
  | VariableKey
  | PassphraseKeyOptions
  | StoredKeyOptions;

/**
 * A key of 32 bytes.
 *
 * @category Backends
 */
export interface BytesKey {
  /** 32 random bytes. They are copied. */
  bytes: Uint8Array;
  /**
   * The name of the key in entries.
   *
   * @default a fingerprint of the key
   */
  id?: string;
}

/**
 * A key in a variable, which is read at the first use.
 *
 * @category Backends
 */
export interface VariableKey {
  /** The variable with 32 random bytes as hex, base64 or base64url. */
  env: string;
  /**
   * The name of the key in entries.
   *
   * @default a fingerprint of the key
   */
  id?: string;
}

/**
 * A key that is derived with PBKDF2 (HMAC with SHA-256) and a random salt, once in a process.
 *
 * @category Backends
 */
export interface PassphraseKeyOptions {
  /** At least 12 characters. A function or a variable is read at the first use. */
  passphrase: string | (() => MaybePromise<string>) | { env: string };
  /**
   * The number of PBKDF2 iterations for new entries, 600,000 to 10,000,000. Entries with more than
   * this and 2,000,000 are not read: a planted entry must not keep its reader busy.
   *
   * @default 600_000
   */
  iterations?: number;
  /**
   * The name of the key in entries.
   *
   * @default a fingerprint of the derived key
   */
  id?: string;
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
