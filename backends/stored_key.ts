import { CredentialsBackendError } from "./credentials_backend_error.ts";
import type { KeySource } from "./key_source.ts";
import type { OidcCredentials, OidcCredentialsBackend } from "./oidc_credentials_backend.ts";
import { fromBase64, type SealedEntry } from "./sealed_row.ts";
import { KEY_BYTES, type SealingKey, sealingKey } from "./sealing_key.ts";

/** The row that names the key to write with. */
const CURRENT = "encryption-key";

/**
 * Random keys, made where they are first needed and kept in a backend. Each has a row of its own, so
 * two processes that make one at the same time lose nothing: both keys stay, and each entry names
 * its own.
 */
export class StoredKey implements KeySource {
  readonly #backend: OidcCredentialsBackend;
  readonly #keys = new Map<string, SealingKey>();
  #current: Promise<SealingKey> | undefined;

  constructor(backend: OidcCredentialsBackend) {
    this.#backend = backend;
  }

  /** The backend that holds the keys. */
  get backend(): OidcCredentialsBackend {
    return this.#backend;
  }

  current(beforeNew: () => Promise<void>): Promise<SealingKey> {
    this.#current ??= this.#readCurrent(beforeNew).catch((error) => {
      this.#current = undefined;
      throw error;
    });
    return this.#current;
  }

  async find({ key_id, pbkdf2 }: SealedEntry): Promise<SealingKey | undefined> {
    return pbkdf2 === undefined ? await this.#read(key_id) : undefined;
  }

  /** Makes a new key and writes with it from now on. The earlier ones stay, for what they sealed. */
  async renew(): Promise<void> {
    this.#current = Promise.resolve(await this.#make());
  }

  async #readCurrent(beforeNew: () => Promise<void>): Promise<SealingKey> {
    const id = (await this.#backend.get(CURRENT))?.key_id;
    const key = typeof id === "string" ? await this.#read(id) : undefined;
    if (key !== undefined) return key;
    await beforeNew();
    return await this.#make();
  }

  async #make(): Promise<SealingKey> {
    const bytes = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
    const text = bytes.toBase64();
    const { id } = await sealingKey(bytes);
    await this.#backend.put(rowName(id), row({ encryption_key: text }));
    const key = await this.#read(id);
    if (key === undefined) throw unproven(this.#backend);
    await this.#backend.put(CURRENT, row({ key_id: id }));
    return key;
  }

  async #read(id: string): Promise<SealingKey | undefined> {
    const known = this.#keys.get(id);
    if (known !== undefined) return known;
    if (!/^[0-9a-f]{16}$/.test(id)) return undefined; // from an entry, which anybody may have changed
    const stored = await this.#backend.get(rowName(id));
    const bytes = fromBase64(stored?.encryption_key);
    if (bytes?.length !== KEY_BYTES) return undefined;
    const key = await sealingKey(bytes);
    if (key.id !== id) return undefined; // damaged, or another key's row
    this.#keys.set(id, key);
    return key;
  }
}

function rowName(id: string): string {
  return `${CURRENT}|${id}`;
}

function row(fields: Record<string, string>): OidcCredentials {
  return { issuer: CURRENT, client_id: CURRENT, access_token: "", ...fields };
}

function unproven({ location }: OidcCredentialsBackend): CredentialsBackendError {
  return new CredentialsBackendError(
    "backend_unproven",
    `Cannot keep an encryption key in ${location ?? "the backend for it"}: what was written did ` +
      `not come back the same. Nothing was encrypted with it. Repair that backend, or use another.`,
  );
}
