/**
 * Encryption at rest for any credentials backend.
 *
 * @module
 */

import { assertCredentialsBackend, checkOptions } from "./common/check_options.ts";
import { CredentialsBackendError } from "./credentials_backend_error.ts";
import type { EncryptionKey } from "./encrypted/encryption_key.ts";
import { KeyRing } from "./encrypted/key_ring.ts";
import type {
  BackendPermission,
  OidcCredentials,
  OidcCredentialsBackend,
  WithLockOptions,
} from "./oidc_credentials_backend.ts";
import { sealedIn, sealRow } from "./encrypted/sealed_row.ts";

export type {
  BytesKey,
  EncryptionKey,
  PassphraseKeyOptions,
  StoredKeyOptions,
  VariableKey,
} from "./encrypted/encryption_key.ts";

/** Options of {@linkcode EncryptedCredentialsBackend}. */
export interface EncryptedCredentialsBackendOptions {
  /** Where the encrypted entries are kept. */
  backend: OidcCredentialsBackend;
  /** What new entries are encrypted with. */
  key: EncryptionKey;
  /**
   * Further keys to read with: those that were `key` earlier.
   *
   * @default []
   */
  olderKeys?: readonly EncryptionKey[];
  /**
   * What becomes of entries that the inner backend holds unencrypted, from before encryption was
   * switched on or from a program that does not encrypt:
   *
   * - `"refuse"`: reading one is an error, `decryption_failed`;
   * - `"read"`: they are used, and each is encrypted and its plain copy removed at its next write,
   *   or by {@linkcode EncryptedCredentialsBackend.rotate};
   * - `"ignore"`: they belong to another program, such as the ValidMind Python library in one file
   *   with this one: they are neither read nor listed nor removed.
   *
   * @default "refuse"
   */
  plain?: "refuse" | "read" | "ignore";
}

/** Options of {@linkcode EncryptedCredentialsBackend.rotate}. */
export interface RotateOptions {
  /**
   * Whether a new key is made first. Only for a key that is kept in a backend.
   *
   * @default false
   */
  newKey?: boolean;
  /** Ends it between two entries. A later run goes on. */
  signal?: AbortSignal;
}

/** What a rotation did, by credential key. Holds no secret. */
export interface RotationResult {
  /** Entries that are now encrypted with the current key and were not before. */
  readonly resealed: readonly string[];
  /** Entries that were already. */
  readonly kept: readonly string[];
}

/**
 * Encrypts entries before another backend stores them: AES-256-GCM by WebCrypto, with a random nonce
 * for each write. A changed entry, one that was moved to another key, a wrong encryption key and a
 * changed format version are errors, `decryption_failed` or `encryption_key_unknown`, and never
 * "not signed in".
 *
 * Each entry is one row of the inner backend, under `encrypted|` and the credential key, so that no
 * program which reads plain rows, such as the ValidMind Python library, takes it for tokens or
 * overwrites it. Issuer, client id and audience stand in that name in clear; all of the entry,
 * with its scope and expiry, is encrypted. The length of the tokens shows.
 *
 * Who can write to the store can still delete an entry, or put back an earlier one of the same
 * credential. Who can read the memory of the process has the tokens in any case.
 *
 * Lock, list and `deleteAll` are those of the inner backend, and missing where it has none.
 * `deleteAll` removes what others keep in that store, too. `close` closes the inner backend and
 * those of keys.
 *
 * Needs what the inner backend and the backends of keys need, and `--allow-env` for the variables
 * that hold keys.
 *
 * @example A file, with the key in a variable
 * ```ts
 * import { FileCredentialsBackend } from "@validmind/auth";
 * import { EncryptedCredentialsBackend } from "@validmind/auth/backends/encrypted";
 * import { assertEquals } from "@std/assert";
 *
 * Deno.env.set("TOKENS_KEY", crypto.getRandomValues(new Uint8Array(32)).toBase64());
 * const folder = await Deno.makeTempDir();
 * const backend = new EncryptedCredentialsBackend({
 *   backend: new FileCredentialsBackend({ path: `${folder}/credentials.json` }),
 *   key: { env: "TOKENS_KEY" },
 * });
 * const key = "https://login.example.com|my-app";
 * const entry = { issuer: "https://login.example.com", client_id: "my-app", access_token: "…" };
 * await backend.put(key, entry);
 * assertEquals(await backend.get(key), entry);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export class EncryptedCredentialsBackend implements OidcCredentialsBackend {
  /** Present where the inner backend has a lock: that of the encrypted entry. */
  readonly withLock?: OidcCredentialsBackend["withLock"];
  /** Present where the inner backend lists: the credential keys of what it holds. */
  readonly list?: () => AsyncIterable<string>;
  /** Present where the inner backend can: removes all that it holds. */
  readonly deleteAll?: () => Promise<void>;
  /** Present where the inner backend, and every backend of a key, says what it needs. */
  readonly requiredPermissions?: () => BackendPermission[];
  readonly #inner: OidcCredentialsBackend;
  readonly #keys: KeyRing;
  readonly #plain: "refuse" | "read" | "ignore";

  /**
   * Reads nothing yet: neither the store nor a variable.
   *
   * @param options What to encrypt, and with what.
   * @throws {CredentialsBackendError} `invalid_options`, also for a key or a passphrase that is
   * weak; `invalid_backend`.
   */
  constructor(options: EncryptedCredentialsBackendOptions) {
    checkOptions(ACTION, options, {
      backend: "any",
      key: "any",
      olderKeys: "array",
      plain: ["refuse", "read", "ignore"],
    });
    const { backend: inner, key, olderKeys = [], plain = "refuse" } = options;
    assertCredentialsBackend(inner, `option "backend" of EncryptedCredentialsBackend`);
    this.#inner = inner;
    this.#plain = plain;
    this.#keys = new KeyRing(inner, key, olderKeys);
    if (inner.withLock !== undefined) {
      this.withLock = (key, fn, options) => this.#withLock(key, fn, options);
    }
    if (inner.list !== undefined) this.list = () => this.#list();
    if (inner.deleteAll !== undefined) this.deleteAll = async () => await inner.deleteAll!();
    const { permissions } = this.#keys;
    if (inner.requiredPermissions !== undefined && permissions !== undefined) {
      this.requiredPermissions = () => [...inner.requiredPermissions!(), ...permissions];
    }
  }

  /** Whether entries survive the process: as the inner backend says. */
  get persistent(): boolean | undefined {
    return this.#inner.persistent;
  }

  /** Where the encrypted entries are, in words. */
  get location(): string | undefined {
    const { location } = this.#inner;
    return location === undefined ? undefined : `${location}, encrypted`;
  }

  /**
   * The entry under `key`, decrypted, or `undefined` when there is none.
   *
   * @throws {CredentialsBackendError} `decryption_failed`, `encryption_key_unknown`; for a key from
   * a variable also `permission_required`, `env_unset`, `env_invalid`; and what the inner backend,
   * or that of a key, reports.
   */
  async get(key: string): Promise<OidcCredentials | undefined> {
    const row = await this.#inner.get(rowName(key));
    if (row) return await this.#open(key, row);
    if (this.#plain === "ignore") return undefined;
    const plain = await this.#inner.get(key) ?? undefined;
    if (plain !== undefined && this.#plain === "refuse") throw this.#isPlain(key);
    return plain;
  }

  /**
   * Encrypts `entry` and stores it under `key`.
   *
   * @throws {CredentialsBackendError} As {@linkcode get}. `encryption_key_unknown` also instead of a
   * new key, where the key in another backend is gone and the store has entries that need it.
   */
  async put(key: string, entry: OidcCredentials): Promise<void> {
    if (key.startsWith(PREFIX)) {
      throw new CredentialsBackendError(
        "invalid_options",
        `Cannot encrypt the entry "${key}": it is encrypted already. Leave it where it is, or copy ` +
          `it as it is to the store that an EncryptedCredentialsBackend with its key wraps.`,
      );
    }
    const current = await this.#keys.current();
    await this.#inner.put(rowName(key), await sealRow(key, entry, current));
    if (this.#plain === "read") await this.#inner.delete(key);
  }

  /**
   * Removes the entry under `key`, if there is one: also one that cannot be decrypted, and its plain
   * copy unless plain entries are ignored.
   *
   * @throws {CredentialsBackendError} What the inner backend reports.
   */
  async delete(key: string): Promise<void> {
    await this.#inner.delete(rowName(key));
    if (this.#plain !== "ignore") await this.#inner.delete(key);
  }

  /**
   * Encrypts every entry anew that is not encrypted with the current key, each under its lock: after
   * a change of the key, so that the older one can be thrown away, or to take over plain entries
   * with `plain: "read"`.
   *
   * @param options Whether a new key is made.
   * @returns What was done, by credential key.
   * @throws {CredentialsBackendError} `backend_no_list`; `invalid_options` for `newKey` with a key
   * that is not kept in a backend; and for an entry that cannot be read what {@linkcode get}
   * reports, after all the others are done.
   *
   * @example
   * ```ts
   * import { MemoryCredentialsBackend } from "@validmind/auth";
   * import { EncryptedCredentialsBackend } from "@validmind/auth/backends/encrypted";
   * import { assertEquals } from "@std/assert";
   *
   * const [older, key] = [1, 2].map(() => crypto.getRandomValues(new Uint8Array(32)));
   * const store = new MemoryCredentialsBackend();
   * const entry = { issuer: "https://login.example.com", client_id: "my-app", access_token: "…" };
   * await new EncryptedCredentialsBackend({ backend: store, key: older! }).put("k", entry);
   *
   * const backend = new EncryptedCredentialsBackend({ backend: store, key: key!, olderKeys: [older!] });
   * assertEquals(await backend.rotate(), { resealed: ["k"], kept: [] });
   * ```
   */
  async rotate(options: RotateOptions = {}): Promise<RotationResult> {
    checkOptions("rotate the encryption key", options, {
      newKey: "boolean",
      signal: "signal",
    });
    const { newKey = false, signal } = options;
    const keys = await this.#listForRotation();
    if (newKey) await this.#keys.renew();
    const result = { resealed: [] as string[], kept: [] as string[] };
    const faults: unknown[] = [];
    for (const key of keys) {
      signal?.throwIfAborted();
      try {
        const outcome = await this.#locked(key, () => this.#reseal(key), signal);
        if (outcome !== undefined) result[outcome].push(key);
      } catch (error) {
        if (signal?.aborted) throw error;
        faults.push(error); // told in the end: one that cannot be read must not save the others
      }
    }
    if (faults.length > 0) throw faults[0];
    return result;
  }

  /** Closes the inner backend and those of keys. */
  async close(): Promise<void> {
    try {
      await this.#keys.close();
    } finally {
      await this.#inner.close?.();
    }
  }

  async #open(key: string, row: OidcCredentials): Promise<OidcCredentials> {
    const sealed = sealedIn(row);
    if (sealed === undefined) {
      const reason = "it is damaged, or a newer release wrote it. Update @validmind/auth";
      throw this.#undecrypted(key, `${reason}; if that does not help, `);
    }
    const entry = await this.#keys.open(key, sealed);
    if (entry !== undefined) return entry;
    const reason =
      "it was changed, belongs to another credential, or the key with its id is another";
    throw this.#undecrypted(key, `${reason} one. Give the key that it was encrypted with, or `);
  }

  async #reseal(key: string): Promise<"resealed" | "kept" | undefined> {
    const row = await this.#inner.get(rowName(key));
    const isCurrent = row && sealedIn(row)?.key_id === (await this.#keys.current()).id;
    const entry = await this.get(key);
    if (entry === undefined) return undefined; // cleared since it was listed
    if (isCurrent) return "kept";
    await this.put(key, entry);
    return "resealed";
  }

  /**
   * The lock of the row that is written: a store with leases lets a write fail whose own lock was
   * lost, and not one under another name. Who writes plain entries locks those by their own name.
   */
  #withLock<T>(key: string, fn: () => Promise<T>, options?: WithLockOptions<T>): Promise<T> {
    const run = () => this.#inner.withLock!(rowName(key), fn, options);
    return this.#plain === "read" ? this.#inner.withLock!(key, run, options) : run();
  }

  #locked<T>(key: string, fn: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    if (this.withLock === undefined) return fn();
    return this.withLock(key, fn, signal === undefined ? {} : { signal });
  }

  async #listForRotation(): Promise<string[]> {
    if (this.list !== undefined) return await Array.fromAsync(this.list());
    throw new CredentialsBackendError(
      "backend_no_list",
      `Cannot rotate the encryption key of ${this.#place}: it cannot list its keys. Entries are ` +
        `encrypted with the current key when they are next written.`,
    );
  }

  async *#list(): AsyncGenerator<string> {
    const names = await Array.fromAsync(this.#inner.list!());
    const sealed = names.filter((name) => name.startsWith(PREFIX))
      .map((name) => name.slice(PREFIX.length));
    const plain = this.#plain === "ignore" ? [] : names.filter((name) => !name.startsWith(PREFIX));
    yield* new Set([...sealed, ...plain]);
  }

  get #place(): string {
    return this.#inner.location ?? "the inner backend";
  }

  #isPlain(key: string): CredentialsBackendError {
    return new CredentialsBackendError(
      "decryption_failed",
      `Cannot read credentials from ${this.#place}: the entry for "${key}" is not encrypted. Set ` +
        `plain: "read" to take it over, plain: "ignore" if it is another program's, or remove it ` +
        `with clearOidcCredentials().`,
    );
  }

  #undecrypted(key: string, reason: string): CredentialsBackendError {
    return new CredentialsBackendError(
      "decryption_failed",
      `Cannot decrypt the entry for "${key}" in ${this.#place}: ${reason}remove the entry with ` +
        `clearOidcCredentials() and sign in again.`,
    );
  }
}

/** Before the credential key, in the inner store. */
const PREFIX = "encrypted|";

const ACTION = "create EncryptedCredentialsBackend";

function rowName(key: string): string {
  return `${PREFIX}${key}`;
}
