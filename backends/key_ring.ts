import { CredentialsBackendError } from "./credentials_backend_error.ts";
import type { EncryptionKey } from "./encryption_key.ts";
import { checkKey, type KeySource } from "./key_source.ts";
import type {
  BackendPermission,
  OidcCredentials,
  OidcCredentialsBackend,
} from "./oidc_credentials_backend.ts";
import { openSealed, type SealedEntry, sealedIn } from "./sealed_row.ts";
import type { SealingKey } from "./sealing_key.ts";
import { StoredKey } from "./stored_key.ts";

/** The key to write with, and all keys to read with. */
export class KeyRing {
  /** What the keys need of Deno; `undefined` where the store of one does not say. */
  readonly permissions: BackendPermission[] | undefined;
  readonly #inner: OidcCredentialsBackend;
  readonly #sources: readonly [KeySource, ...KeySource[]];

  /** @param inner Where the entries are that the keys are for. */
  constructor(
    inner: OidcCredentialsBackend,
    key: EncryptionKey,
    olderKeys: readonly EncryptionKey[],
  ) {
    if (!Array.isArray(olderKeys)) {
      throw invalid(`option "olderKeys" is not a list`, "Give a list of keys, or leave it out.");
    }
    const current = checkKey(key, "key");
    const older = olderKeys.map((one, index) => checkKey(one, `olderKeys[${index}]`));
    const all = [current, ...older];
    const ids = [key, ...olderKeys].flatMap((one) => "id" in one ? one.id ?? [] : []);
    if (new Set(ids).size < ids.length) {
      throw invalid("two keys have one id", "Give each an id of its own, or leave the ids out.");
    }
    for (const { source } of all) if (source instanceof StoredKey) checkApart(source, inner);
    this.#inner = inner;
    this.#sources = [current.source, ...older.map(({ source }) => source)];
    this.permissions = all.every(({ permissions }) => permissions !== undefined)
      ? all.flatMap(({ permissions }) => permissions!)
      : undefined;
  }

  /** The key to write with. */
  async current(): Promise<SealingKey> {
    return await this.#sources[0].current(() => this.#assertNoneLost());
  }

  /**
   * Decrypts an entry with its key.
   *
   * @returns `undefined` when that key does not open it.
   * @throws {CredentialsBackendError} `encryption_key_unknown`.
   */
  async open(key: string, sealed: SealedEntry): Promise<OidcCredentials | undefined> {
    const found = await this.#search(sealed);
    if (found === undefined) throw this.#unknown(key, sealed);
    const entry = await openSealed(key, sealed, found.key);
    found.source.settle?.(sealed, entry !== undefined);
    return entry;
  }

  /** Makes a new key, where it is kept in a backend. */
  async renew(): Promise<void> {
    const [source] = this.#sources;
    if (source instanceof StoredKey) return await source.renew();
    throw new CredentialsBackendError(
      "invalid_options",
      `Cannot make a new encryption key: it is not kept in a backend. Give the new one as "key", and ` +
        `the present one in "olderKeys".`,
    );
  }

  /** Closes the backends of keys. */
  async close(): Promise<void> {
    for (const source of this.#sources) {
      if (source instanceof StoredKey) await source.backend.close?.();
    }
  }

  #unknown(key: string, sealed: SealedEntry): CredentialsBackendError {
    const { key_id, pbkdf2 } = sealed;
    const what = pbkdf2 === undefined
      ? `the key with the id "${shown(key_id)}", which is none of those given`
      : `a passphrase that is none of those given`;
    return new CredentialsBackendError(
      "encryption_key_unknown",
      `Cannot decrypt the entry for "${key}" in ${place(this.#inner)}: it was encrypted with ` +
        `${what}. Give that one too, in olderKeys; if it is lost, remove the entry with ` +
        `clearOidcCredentials() and sign in again.`,
    );
  }

  async #search(sealed: SealedEntry): Promise<{ source: KeySource; key: SealingKey } | undefined> {
    for (const source of this.#sources) {
      const key = await source.find(sealed);
      if (key !== undefined) return { source, key };
    }
    return undefined;
  }

  /** A new key in place of one that is lost would hide the loss. */
  async #assertNoneLost(): Promise<void> {
    for await (const name of this.#inner.list?.() ?? []) {
      const row = await this.#inner.get(name);
      const sealed = row ? sealedIn(row) : undefined;
      if (sealed === undefined || await this.#search(sealed) !== undefined) continue;
      throw new CredentialsBackendError(
        "encryption_key_unknown",
        `Cannot make an encryption key for ${place(this.#inner)}: it holds entries that were ` +
          `encrypted with the key "${shown(sealed.key_id)}", which is gone. Bring that key back; ` +
          `if it is lost, remove those entries with clearOidcCredentials({ all: true }).`,
      );
    }
  }
}

/** A key beside what it protects would protect nothing. */
function checkApart({ backend }: StoredKey, inner: OidcCredentialsBackend): void {
  const isOneStore = backend === inner ||
    (backend.persistent === true && backend.location !== undefined &&
      backend.location === inner.location);
  if (isOneStore) {
    throw invalid("the key is kept in the store that it protects", "Keep it in another one.");
  }
  if (backend.persistent === false && inner.persistent !== false) {
    const advice = "Keep it in a store that survives, too.";
    throw invalid("the key would end with this process, and the entries would not", advice);
  }
}

function place({ location }: OidcCredentialsBackend): string {
  return location ?? "the inner backend";
}

/** An id as it stands in a store, which anybody may have changed. */
function shown(id: string): string {
  return id.replace(/[^\w.:-]/g, "?").slice(0, 64);
}

function invalid(reason: string, advice: string): CredentialsBackendError {
  return new CredentialsBackendError(
    "invalid_options",
    `Cannot create EncryptedCredentialsBackend: ${reason}. ${advice}`,
  );
}
