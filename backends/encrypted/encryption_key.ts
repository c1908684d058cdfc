import type { MaybePromise, OidcCredentialsBackend } from "../oidc_credentials_backend.ts";

/**
 * A key that entries are encrypted with:
 *
 * | form | the key is |
 * |---|---|
 * | `Uint8Array` or `{ bytes }` | these 32 random bytes |
 * | `{ env: "MY_KEY" }` | 32 random bytes in that variable, as hex, base64 or base64url |
 * | `{ passphrase }` | derived from a text, from what a function gives (such as a prompt of yours), or from a variable: `{ env: "MY_PASSPHRASE" }` |
 * | `{ backend }` | random, made at the first write and kept in another backend, such as the OS keychain |
 *
 * `id` is the name by which an entry refers to its key; without it a fingerprint of the key.
 */
export type EncryptionKey =
  | Uint8Array
  | BytesKey
  | VariableKey
  | PassphraseKeyOptions
  | StoredKeyOptions;

/** A key of 32 bytes. */
export interface BytesKey {
  /** 32 random bytes. They are copied. */
  bytes: Uint8Array;
  /**
   * How entries name it.
   *
   * @default a fingerprint of the key
   */
  id?: string;
}

/** A key in a variable, which is read at the first use. */
export interface VariableKey {
  /** The variable with 32 random bytes as hex, base64 or base64url. */
  env: string;
  /**
   * How entries name it.
   *
   * @default a fingerprint of the key
   */
  id?: string;
}

/** A key that is derived with PBKDF2 (HMAC with SHA-256) and a random salt, once in a process. */
export interface PassphraseKeyOptions {
  /** At least 12 characters; a function or a variable is asked at the first use. */
  passphrase: string | (() => MaybePromise<string>) | { env: string };
  /**
   * How often it is hashed, 600,000 to 10,000,000 times.
   *
   * @default 600_000
   */
  iterations?: number;
  /**
   * How entries name it.
   *
   * @default a fingerprint of the derived key
   */
  id?: string;
}

/** A random key in another backend. */
export interface StoredKeyOptions {
  /**
   * Where the key is kept. Not the store that it protects, and best a place that holds nothing else,
   * such as a keychain service of its own: who clears all of that place removes the key, too.
   */
  backend: OidcCredentialsBackend;
}
