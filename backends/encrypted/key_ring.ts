import { isOneStore, locationOf } from "../common/describe_backend.ts";
import { printable } from "../common/printable.ts";
import {
  call,
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
  words,
} from "../credentials_backend_error.ts";
import type {
  BackendPermission,
  OidcCredentials,
  OidcCredentialsBackend,
} from "../oidc_credentials_backend.ts";
import { type EncryptionKey, keyOptionError, type KeySource, keySource } from "./key_source.ts";
import { openSealed, type SealedEntry, sealedIn, type SealingKey } from "./sealed_row.ts";

/** Stands before the credential key in the inner store. */
export const PREFIX = "encrypted|";

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
  /** Entries that none of the keys decrypts: damaged ones, too. */
  readonly unknown: number;
}

/** The keys of a store, in their order: the first encrypts, and all decrypt. */
export class KeyRing {
  /** The permissions of all keys. `undefined` where the backend of one does not declare them. */
  readonly permissions: (() => BackendPermission[]) | undefined;
  readonly #inner: OidcCredentialsBackend;
  readonly #sources: readonly KeySource[];

  constructor(
    inner: OidcCredentialsBackend,
    key: EncryptionKey,
    olderKeys: readonly EncryptionKey[],
  ) {
    this.#inner = inner;
    this.#sources = [
      keySource(key, "key"),
      ...olderKeys.map((one, index) => keySource(one, `olderKeys[${index}]`)),
    ];
    if (this.#sources.some(({ backend }) => backend && isOneStore(backend, inner))) {
      const reason = "the key is kept in the store that it protects. Keep it in another one.";
      throw keyOptionError(reason);
    }
    const declared = this.#sources.map(({ permissions }) => permissions);
    this.permissions = declared.every((one) => one !== undefined)
      ? () => declared.flatMap((one) => one())
      : undefined;
  }

  /** The key to encrypt with. */
  async current(): Promise<SealingKey> {
    return await this.#sources[0]!.current();
  }

  /** Decrypts an entry. */
  async open(key: string, sealed: SealedEntry): Promise<OidcCredentials> {
    const { entry, isNamed } = await this.#open(key, sealed);
    if (entry !== undefined) return entry;
    if (isNamed) {
      throw undecrypted(key, this.#inner, "it was changed, or belongs to another credential");
    }
    const { key_id, pbkdf2 } = sealed;
    const used = pbkdf2 ? "a passphrase" : `the key with the id "${printable(key_id, 64)}"`;
    const reason =
      `it was encrypted with ${used}, which is none of those given. Give that one, in ` +
      `key or in olderKeys`;
    throw undecrypted(key, this.#inner, reason, "encryption_key_unknown");
  }

  /** How many entries each key encrypts. */
  async count(): Promise<KeyCounts> {
    if (this.#inner.list === undefined) {
      const where = describeInner(this.#inner);
      const message = `Cannot count the entries in ${where}: it cannot list them. Keep all keys.`;
      throw new CredentialsBackendError("backend_no_list", message);
    }
    const counts = this.#sources.map(() => 0);
    let unknown = 0;
    for await (const name of this.#inner.list()) {
      const row = name.startsWith(PREFIX) ? await this.#inner.get(name) : undefined;
      if (!row) continue;
      const sealed = sealedIn(row);
      const place = sealed && (await this.#open(name.slice(PREFIX.length), sealed)).place;
      if (place === undefined) unknown++;
      else counts[place]!++;
    }
    const [key = 0, ...olderKeys] = counts;
    return { key, olderKeys, unknown };
  }

  async close(): Promise<void> {
    for (const { backend } of this.#sources) await backend?.close?.();
  }

  /** The entry, and the place of its key among the keys. `isNamed`: a key has the id of the entry's. */
  async #open(
    key: string,
    sealed: SealedEntry,
  ): Promise<{ entry?: OidcCredentials; place?: number; isNamed: boolean }> {
    let isNamed = false;
    for (const [place, source] of this.#sources.entries()) {
      const found = await source.keyFor(sealed);
      if (found === undefined) continue;
      const entry = await openSealed(key, sealed, found);
      if (entry !== undefined) {
        source.settle?.(sealed);
        return { entry, place, isNamed: true };
      }
      isNamed ||= found.id === sealed.key_id;
    }
    return { isNamed };
  }
}

export function undecrypted(
  key: string,
  inner: OidcCredentialsBackend,
  reason: string,
  code: CredentialsBackendErrorCode = "decryption_failed",
): CredentialsBackendError {
  const entry = `the entry for "${printable(key)}" in ${describeInner(inner)}`;
  return new CredentialsBackendError(
    code,
    words`Cannot decrypt ${entry}: ${reason}. If it stays so, remove it with
      ${call("clearOidcCredentials")} and sign in again.`,
  );
}

export function describeInner(inner: OidcCredentialsBackend): string {
  const location = locationOf(inner);
  return location === undefined ? "the inner backend" : printable(location);
}
