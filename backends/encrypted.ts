/**
 * Encryption at rest for any store: {@linkcode EncryptedCredentialsBackend} wraps another one. Its
 * {@linkcode EncryptionKey} is given as bytes, in a variable, in a file or as a passphrase, or is kept
 * in a second store, such as the keychain.
 *
 * ```ts
 * import { FileCredentialsBackend, setDefaultBackend } from "@validmind/auth";
 * import { EncryptedCredentialsBackend } from "@validmind/auth/backends/encrypted";
 *
 * // From now on every sign-in of this process is kept there.
 * setDefaultBackend(
 *   new EncryptedCredentialsBackend({
 *     backend: new FileCredentialsBackend({ path: "/srv/tokens/anna.json" }),
 *     key: { env: "TOKENS_KEY" },
 *   }),
 * );
 * ```
 *
 * Without code, by variables:
 *
 * ```sh
 * export VM_OIDC_CREDENTIALS_BACKEND=encrypted
 * export VM_OIDC_CREDENTIALS_BACKEND_KWARGS='{
 *   "backend": {"name": "file", "options": {"path": "/srv/tokens/${USER}.json"}},
 *   "key": {"env": "TOKENS_KEY"}
 * }'
 * ```
 *
 * Needs the permissions of the wrapped store and of the key's store, `--allow-env` for a variable with
 * a key, and `--allow-read` for a file with one.
 *
 * More: [encryption](README.md#encryption), with the change of a key.
 *
 * @module
 */
import {
  assertCredentialsBackend,
  describeBackend,
  locationOf,
} from "./common/describe_backend.ts";
import { checkOptions, invalidOptions } from "./common/check_options.ts";
import { entryFrom, listKeys } from "./common/read_backend.ts";
import { INNER, joinIds, shareStore } from "./common/marks.ts";
import { printable } from "./common/printable.ts";
import { repeat } from "./common/repeat.ts";
import { assertRuntime } from "./common/runtime.ts";
import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
  SIGN_OUT,
} from "./credentials_backend_error.ts";
import { limitAbilities } from "./common/wrap_backend.ts";
import { ACTION, type EncryptionKey, type KeySource, keySource } from "./encrypted/key_source.ts";
import { openSealed, type SealedEntry, sealedIn, sealRow } from "./encrypted/sealing.ts";
import type {
  BackendPermission,
  OidcCredentials,
  OidcCredentialsBackend,
  PutOptions,
  WithLockOptions,
} from "./oidc_credentials_backend.ts";

export type {
  EncryptionKey,
  FileKey,
  PassphraseKeyOptions,
  StoredKeyOptions,
  VariableKey,
} from "./encrypted/key_source.ts";

/**
 * Options of {@linkcode EncryptedCredentialsBackend}.
 *
 * @category Backends
 */
export interface EncryptedCredentialsBackendOptions {
  /** The store of the encrypted entries. */
  backend: OidcCredentialsBackend;
  /** The key of new entries. */
  key: EncryptionKey;
  /**
   * Further keys to read with: earlier values of `key`. The next write of an entry encrypts it with
   * the present key. {@linkcode EncryptedCredentialsBackend.keyUse} counts the entries that still
   * need an older one.
   *
   * @default {[]}
   */
  olderKeys?: readonly EncryptionKey[];
  /**
   * The treatment of unencrypted entries in the inner backend. Such entries are older than the
   * encryption, or of a program that does not encrypt.
   *
   * - `"refuse"`: reading one is an error, `decryption_failed`;
   * - `"ignore"`: they belong to another program that shares the store, such as the ValidMind Python
   *   library. They are neither read nor listed nor removed.
   *
   * @default {"refuse"}
   */
  plain?: "refuse" | "ignore";
}

/**
 * How many entries each key encrypts. Holds no secret.
 *
 * @category Backends
 */
export interface KeyCounts {
  /** Entries under the present key. */
  readonly key: number;
  /** Entries under each of `olderKeys`, in their order. A key with none can be dropped. */
  readonly olderKeys: readonly number[];
  /** Entries that none of the keys decrypts, such as damaged ones. */
  readonly unknown: number;
}

/** Stands before the credential key in the inner store. */
const PREFIX = "encrypted|";

/**
 * Encrypts entries before another backend stores them: AES-256-GCM by WebCrypto, with a random nonce for
 * each write. A changed or moved entry, a wrong encryption key and a changed format version are errors:
 * `decryption_failed` or `encryption_key_unknown`. They are never "not signed in".
 *
 * Each entry is one row of the inner backend, under `encrypted|` and the credential key. A program
 * that reads plain rows, such as the ValidMind Python library, neither uses it as tokens nor
 * overwrites it. That name shows issuer, client id and audience in clear. The whole entry, with its
 * scope and expiry, is encrypted. The length of the tokens can be seen.
 *
 * A program that can write to the store can still delete an entry, or put back an earlier one of the
 * same credential. A program that can read the memory of the process has the tokens in any case.
 *
 * `withLock`, `list` and `deleteAll` are those of the inner backend. If it lacks one, it is missing
 * here as well. `deleteAll` also removes entries of other programs in that store. `close` closes the
 * inner backend and the backends of keys.
 *
 * Needs the permissions of the inner backend and of the backends of keys, `--allow-env` for the
 * variables that hold keys, and `--allow-read` for the files that do.
 *
 * @category Backends
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
  /** The name of the class, also in minified code. */
  static readonly name = "EncryptedCredentialsBackend";
  readonly #inner: OidcCredentialsBackend;
  /** In their order: the first encrypts, and all decrypt. */
  readonly #keys: readonly KeySource[];
  readonly #plain: "refuse" | "ignore";

  /**
   * Reads nothing yet: neither the store nor a variable.
   *
   * @param options The inner backend, the keys, and the treatment of plain entries.
   * @throws {CredentialsBackendError} `invalid_options`, also for a weak key or passphrase;
   * `invalid_backend`, `runtime_unsupported`.
   */
  constructor(options: EncryptedCredentialsBackendOptions) {
    assertRuntime(ACTION);
    checkOptions(ACTION, options, {
      backend: "any",
      key: "any",
      olderKeys: "array",
      plain: ["refuse", "ignore"],
    });
    const { backend: inner, key, olderKeys = [], plain = "refuse" } = options;
    assertCredentialsBackend(inner, `option "backend" of EncryptedCredentialsBackend`);
    this.#inner = inner;
    this.#plain = plain;
    this.#keys = [
      keySource(key, "key"),
      ...olderKeys.map((one, index) => keySource(one, `olderKeys[${index}]`)),
    ];
    if (this.#keys.some(({ backend }) => backend && shareStore(backend, inner))) {
      throw invalidOptions(
        ACTION,
        "the key is kept in the store that it protects",
        "Keep it in another one.",
      );
    }
    const isDeclared = this.#keys.every(({ permissions }) => permissions !== undefined);
    limitAbilities(
      this,
      (name) => inner[name] !== undefined && (name !== "requiredPermissions" || isDeclared),
    );
  }

  /** Whether entries survive the process, as the inner backend says. */
  get persistent(): boolean | undefined {
    return this.#inner.persistent;
  }

  /** The place of the encrypted entries, in words. */
  get location(): string | undefined {
    const location = locationOf(this.#inner);
    return location && `${location}, encrypted`;
  }

  /** The identity of the inner store and of the key; none where either has none, such as a key in bytes. */
  get storeId(): string | undefined {
    return joinIds(this.#inner.storeId, this.#keys[0]!.identity);
  }

  /**
   * The inner backend.
   *
   * @ignore
   */
  get [INNER](): readonly OidcCredentialsBackend[] {
    return [this.#inner];
  }

  /**
   * The entry under `key`, decrypted, or `undefined` when there is none.
   *
   * @throws {CredentialsBackendError} `decryption_failed`, `encryption_key_unknown`; for a key in a
   * variable or a file also `permission_required`, `env_unset`, `env_invalid`, `invalid_options`; the
   * errors of the inner backend and of a key's backend.
   */
  async get(key: string): Promise<OidcCredentials | undefined> {
    return await this.#entryIn(key, await this.#inner.get(rowName(key)));
  }

  /**
   * Encrypts `entry` and stores it under `key`. `isReplaced` counts if the inner backend supports it.
   *
   * @returns Whether it was stored: `false` only where `isReplaced` refused.
   * @throws {CredentialsBackendError} As {@linkcode get}; `backend_locked` where others change the entry
   * all the time.
   */
  async put(key: string, entry: OidcCredentials, options: PutOptions = {}): Promise<boolean> {
    const { isReplaced } = options;
    const row = await sealRow(key, entry, await this.#keys[0]!.current());
    if (isReplaced) return await this.#replace(key, row, isReplaced);
    await this.#inner.put(rowName(key), row);
    return true;
  }

  /**
   * Removes the entry under `key`, if there is one, also one that cannot be decrypted. Its plain copy
   * is removed, too, unless plain entries are ignored.
   *
   * @throws {CredentialsBackendError} The errors of the inner backend.
   */
  async delete(key: string): Promise<void> {
    try {
      if (this.#plain !== "ignore") await this.#inner.delete(key);
    } finally {
      await this.#inner.delete(rowName(key));
    }
  }

  /**
   * Counts the entries of each key, so that you see whether an older key can be dropped.
   *
   * @returns The counts. A key from a passphrase takes part of a second for each salt.
   * @throws {CredentialsBackendError} `backend_no_list`, and as {@linkcode get} for keys.
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
   * assertEquals((await backend.keyUse()).olderKeys, [1]);
   * await backend.put("k", entry); // as the next refresh does
   * assertEquals((await backend.keyUse()).olderKeys, [0]);
   * ```
   */
  async keyUse(): Promise<KeyCounts> {
    const counts = this.#keys.map(() => 0);
    let unknown = 0;
    const names = await listKeys(this.#inner, "Keep all keys.");
    for (const name of names.filter((name) => name.startsWith(PREFIX))) {
      const row = await this.#inner.get(name);
      if (!row) continue;
      const sealed = sealedIn(row);
      const opened = sealed && await this.#open(name.slice(PREFIX.length), sealed);
      if (opened?.entry === undefined) unknown++;
      else counts[opened.place]!++;
    }
    const [key = 0, ...olderKeys] = counts;
    return { key, olderKeys, unknown };
  }

  /** The credential keys of all entries. Present where the inner backend lists. */
  async *list?(): AsyncGenerator<string> {
    const names = await Array.fromAsync(this.#inner.list!());
    const isEntry = (name: string) => name.startsWith(PREFIX) || this.#plain === "refuse";
    yield* new Set(names.filter(isEntry).map((name) => name.replace(/^encrypted\|/, "")));
  }

  /** Removes all that the inner backend holds. Present if the inner backend has it. */
  async deleteAll?(): Promise<void> {
    await this.#inner.deleteAll!();
  }

  /** Locks the encrypted entry. Present where the inner backend has a lock. */
  async withLock?<T>(
    key: string,
    fn: () => Promise<T>,
    options?: WithLockOptions<T>,
  ): Promise<T> {
    // Of the row that is written: a store with leases refuses a write where its own row's lock was lost.
    return await this.#inner.withLock!(rowName(key), fn, options);
  }

  /** Present where the inner backend and every backend of a key declare their permissions. */
  requiredPermissions?(): BackendPermission[] {
    return [
      ...this.#inner.requiredPermissions!(),
      ...this.#keys.flatMap(({ permissions }) => permissions!()),
    ];
  }

  /** Closes the inner backend and the backends of keys. */
  async close(): Promise<void> {
    try {
      for (const { backend } of this.#keys) await backend?.close?.();
    } finally {
      await this.#inner.close?.();
    }
  }

  /** The entry in a row, or the plain one where there is no row. */
  async #entryIn(
    key: string,
    row: OidcCredentials | null | undefined,
  ) {
    const present = entryFrom(this.#inner, row);
    if (present) {
      const sealed = sealedIn(present);
      if (sealed) return await this.#decrypt(key, sealed);
      const reason = "it is damaged, or a newer release wrote it";
      throw this.#undecrypted(key, reason, "Update @validmind/auth.");
    }
    if (this.#plain === "ignore") return undefined;
    const plain = entryFrom(this.#inner, await this.#inner.get(key));
    if (!plain) return undefined;
    throw new CredentialsBackendError("decryption_failed", {
      action: `read credentials from ${describeBackend(this.#inner)}`,
      reason: `the entry for "${printable(key)}" is not encrypted`,
      remedy: `Remove it with ${SIGN_OUT}, or set plain: "ignore" if it is another program's.`,
      signOut: "entry",
    });
  }

  /** Decrypts an entry. */
  async #decrypt(key: string, sealed: SealedEntry) {
    const opened = await this.#open(key, sealed);
    if (opened?.entry !== undefined) return opened.entry;
    if (opened) {
      throw this.#undecrypted(key, "it was changed, or belongs to another credential");
    }
    const { key_id, pbkdf2 } = sealed;
    const used = pbkdf2 ? "a passphrase" : `the key with the id "${printable(key_id)}"`;
    const reason = `it was encrypted with ${used}, which is not among those given`;
    const advice = "Give it in key or in olderKeys.";
    throw this.#undecrypted(key, reason, advice, "encryption_key_unknown");
  }

  /**
   * The place of the entry's key among the keys, with the entry, if that key opens it. `undefined` where none
   * of them is the key that the entry names.
   */
  async #open(key: string, sealed: SealedEntry) {
    for (const [place, source] of this.#keys.entries()) {
      const own = await source.keyFor(sealed);
      if (own?.id === sealed.key_id) return { place, entry: await openSealed(key, sealed, own) };
    }
    return undefined;
  }

  #undecrypted(
    key: string,
    reason: string,
    advice = "",
    code: CredentialsBackendErrorCode = "decryption_failed",
  ) {
    const entry = `the entry for "${printable(key)}" in ${describeBackend(this.#inner)}`;
    return new CredentialsBackendError(code, {
      action: `decrypt ${entry}`,
      reason,
      remedy: `${advice} If it stays so, remove it with ${SIGN_OUT} and sign in again.`.trimStart(),
      signOut: "entry",
    });
  }

  /**
   * Writes a row where the present entry may be replaced. The inner backend decides in one step with its
   * write, and cannot wait there for a row to be decrypted: it knows the row that was read before by its
   * ciphertext, and where another one is there by then, that one is read.
   */
  async #replace(
    key: string,
    row: OidcCredentials,
    isReplaced: NonNullable<PutOptions["isReplaced"]>,
  ) {
    const over = (spent: string) =>
      new CredentialsBackendError("backend_locked", {
        action: `write credentials to ${describeBackend(this.#inner)}`,
        reason: `others changed the entry each time before it was written, ${spent}`,
        remedy: "Try again. If it stays so, end the program that writes this entry all the time.",
      });
    return await repeat({ tries: 20, withinMs: 10_000, over }, async () => {
      const present = await this.#inner.get(rowName(key));
      if (!isReplaced(await this.#entryIn(key, present))) return false;
      const stored = await this.#inner.put(rowName(key), row, {
        isReplaced: (found) => ciphertextOf(found) === ciphertextOf(present),
      });
      return stored === false ? undefined : true;
    });
  }
}

function rowName(key: string) {
  return `${PREFIX}${key}`;
}

/** No two writes have the same. `undefined` for no row, and empty for a damaged one. */
function ciphertextOf(row: OidcCredentials | null | undefined) {
  if (!row) return undefined;
  return sealedIn(row)?.ciphertext ?? "";
}
