import { assertReadableBackend, locationOf } from "../common/describe_backend.ts";
import { printable } from "../common/printable.ts";
import {
  checkOptions,
  CredentialsBackendError,
  type OptionTypes,
} from "../credentials_backend_error.ts";
import type { EncryptionKey } from "./encryption_key.ts";
import {
  assertPassphrase,
  fixedKey,
  type KeySource,
  passphraseKey,
  readKeyVariable,
  readPassphraseVariable,
  storedKey,
  weakness,
} from "./key_source.ts";
import type {
  BackendPermission,
  MaybePromise,
  OidcCredentials,
  OidcCredentialsBackend,
} from "../oidc_credentials_backend.ts";
import {
  isIterations,
  ITERATIONS,
  openSealed,
  type SealedEntry,
  sealedIn,
  type SealingKey,
} from "./sealed_row.ts";

const ACTION = "create EncryptedCredentialsBackend";

const OTHERS: Record<string, OptionTypes> = {
  bytes: { id: "any" },
  env: { id: "any" },
  passphrase: { iterations: "any", id: "any" },
};

interface CheckedKey {
  readonly source: KeySource;
  /** `undefined` where the key's backend does not declare them. */
  readonly permissions: BackendPermission[] | undefined;
}

export class KeyRing {
  /** The permissions of all keys. `undefined` where the backend of one does not declare them. */
  readonly permissions: BackendPermission[] | undefined;
  readonly #inner: OidcCredentialsBackend;
  readonly #sources: readonly [KeySource, ...KeySource[]];

  constructor(
    inner: OidcCredentialsBackend,
    key: EncryptionKey,
    olderKeys: readonly EncryptionKey[],
  ) {
    const current = checkKey(key, "key");
    const older = olderKeys.map((one, index) => checkKey(one, `olderKeys[${index}]`));
    const all = [current, ...older];
    const ids = [key, ...olderKeys].flatMap((one) => "id" in one ? one.id ?? [] : []);
    if (new Set(ids).size < ids.length) {
      throw keyOptionError(
        "two keys have one id. Give each an id of its own, or leave the ids out.",
      );
    }
    for (const { source } of all) checkApart(source, inner);
    this.#inner = inner;
    this.#sources = [current.source, ...older.map(({ source }) => source)];
    this.permissions = all.every(({ permissions }) => permissions !== undefined)
      ? all.flatMap(({ permissions }) => permissions!)
      : undefined;
  }

  async current(): Promise<SealingKey> {
    return await this.#sources[0].current(() => this.#assertNoneLost());
  }

  /** Decrypts an entry with its key: `undefined` where that key does not open it. */
  async open(key: string, sealed: SealedEntry): Promise<OidcCredentials | undefined> {
    for (const source of this.#sources) {
      const found = await source.find(sealed);
      if (found === undefined) continue;
      const entry = await openSealed(key, sealed, found);
      source.settle?.(sealed, entry !== undefined);
      return entry;
    }
    throw this.#unknown(key, sealed);
  }

  async renew(): Promise<void> {
    const [source] = this.#sources;
    if (source.renew === undefined) {
      throw new CredentialsBackendError(
        "invalid_options",
        `Cannot make a new encryption key: it is not kept in a backend. Give the new one as "key", ` +
          `and the present one in "olderKeys".`,
      );
    }
    await source.renew();
  }

  async close(): Promise<void> {
    for (const { backend } of this.#sources) await backend?.close?.();
  }

  #unknown(key: string, sealed: SealedEntry): CredentialsBackendError {
    const { key_id, pbkdf2 } = sealed;
    const used = pbkdf2 === undefined
      ? `the key with the id "${safeId(key_id)}", which is none of those given`
      : pbkdf2.iterations > ITERATIONS.read
      ? `${pbkdf2.iterations} iterations of a passphrase, and no key given allows as many`
      : `a passphrase that is none of those given`;
    return new CredentialsBackendError(
      "encryption_key_unknown",
      `Cannot decrypt the entry for "${printable(key)}" in ${describeInner(this.#inner)}: it was ` +
        `encrypted with ${used}. Give that one, in key or in olderKeys; if it is lost, remove the ` +
        `entry with clearOidcCredentials() and sign in again.`,
    );
  }

  async #knows(sealed: SealedEntry): Promise<boolean> {
    for (const source of this.#sources) {
      if (await source.find(sealed) !== undefined) return true;
    }
    return false;
  }

  /** A new key in place of one that is lost would hide the loss. */
  async #assertNoneLost(): Promise<void> {
    for await (const name of this.#inner.list?.() ?? []) {
      const row = await this.#inner.get(name);
      const sealed = row ? sealedIn(row) : undefined;
      if (sealed === undefined || await this.#knows(sealed)) continue;
      throw new CredentialsBackendError(
        "encryption_key_unknown",
        `Cannot make an encryption key for ${describeInner(this.#inner)}: it holds entries that ` +
          `were encrypted with the key "${safeId(sealed.key_id)}", which is gone. Bring that key ` +
          `back; if it is lost, remove those entries with clearOidcCredentials({ all: true }).`,
      );
    }
  }
}

/** Refuses a key in the store of its entries: it would protect nothing. */
function checkApart({ backend }: KeySource, inner: OidcCredentialsBackend): void {
  if (backend === undefined) return;
  const isOneStore = backend === inner ||
    (backend.persistent === true && backend.location !== undefined &&
      backend.location === inner.location);
  if (isOneStore) {
    throw keyOptionError("the key is kept in the store that it protects. Keep it in another one.");
  }
  if (backend.persistent === false && inner.persistent !== false) {
    throw keyOptionError(
      "the key would end with this process, and the entries would not. Keep it in a store that " +
        "survives, too.",
    );
  }
}

export function describeInner(inner: OidcCredentialsBackend): string {
  const location = locationOf(inner);
  return location === undefined ? "the inner backend" : printable(location);
}

/** An id from a store, which anybody may have changed. */
function safeId(id: string): string {
  return id.slice(0, 64).replace(/[^\w.:-]/g, "?");
}

function checkKey(key: EncryptionKey, name: string): CheckedKey {
  if (key instanceof Uint8Array) return checkBytes(key, undefined, name);
  const fields = (typeof key === "object" && key !== null ? key : {}) as Record<string, unknown>;
  const kind = ["bytes", "env", "passphrase", "backend"].find((kind) =>
    Object.hasOwn(fields, kind)
  );
  if (kind === undefined) {
    throw keyOptionError(
      `option "${name}" is no key. Give 32 bytes, or one of env, passphrase, backend.`,
    );
  }
  checkOptions(ACTION, key, { [kind]: "any", ...OTHERS[kind] });
  if ("id" in key) checkId(key.id, name);
  if ("bytes" in key) return checkBytes(key.bytes, key.id, name);
  if ("env" in key) {
    const { env, id } = key;
    const permissions = variablePermissions(env, name);
    return { source: fixedKey(() => readKeyVariable(env), id), permissions };
  }
  if ("passphrase" in key) return checkPassphrase(key, name);
  assertReadableBackend(key.backend, name);
  return { source: storedKey(key.backend), permissions: declaredBy(key.backend, name) };
}

function declaredBy(
  backend: OidcCredentialsBackend,
  name: string,
): BackendPermission[] | undefined {
  try {
    return backend.requiredPermissions?.();
  } catch {
    throw keyOptionError(`the backend of option "${name}" throws for its permissions. Mend it.`);
  }
}

function checkBytes(bytes: unknown, id: string | undefined, name: string): CheckedKey {
  if (!(bytes instanceof Uint8Array)) {
    throw keyOptionError(`option "${name}" has no bytes. Give a Uint8Array of 32 random bytes.`);
  }
  const reason = weakness(bytes);
  if (reason !== undefined) {
    throw keyOptionError(
      `option "${name}" is no key: ${reason}. Give 32 random bytes: crypto.getRandomValues(new ` +
        `Uint8Array(32)).`,
    );
  }
  const own = new Uint8Array(bytes); // the caller may wipe the original
  return { source: fixedKey(() => own, id), permissions: [] };
}

function checkPassphrase(
  key: Extract<EncryptionKey, { passphrase: unknown }>,
  name: string,
): CheckedKey {
  const { passphrase, iterations = ITERATIONS.least, id } = key;
  if (!isIterations(iterations)) {
    throw keyOptionError(
      `option "${name}" has a wrong number of iterations. Give one from ${ITERATIONS.least} to ` +
        `${ITERATIONS.most}, or leave it out.`,
    );
  }
  const source = (read: () => MaybePromise<string>) => passphraseKey(read, iterations, id);
  if (typeof passphrase === "function") return { source: source(passphrase), permissions: [] };
  if (typeof passphrase === "object" && passphrase !== null) {
    checkOptions(ACTION, passphrase, { env: "any" });
    const { env } = passphrase;
    const permissions = variablePermissions(env, name);
    return { source: source(() => readPassphraseVariable(env)), permissions };
  }
  assertPassphrase(passphrase);
  return { source: source(() => passphrase), permissions: [] };
}

function variablePermissions(variable: unknown, name: string): BackendPermission[] {
  if (typeof variable === "string" && /^[A-Za-z_]\w*$/.test(variable)) {
    return [{ name: "env", variable }];
  }
  throw keyOptionError(`option "${name}" does not name a variable. Give { "env": "MY_KEY" }.`);
}

function checkId(id: unknown, name: string): void {
  if (id === undefined || (typeof id === "string" && /^[\w.:-]{1,64}$/.test(id))) return;
  throw keyOptionError(
    `option "${name}" has a wrong id. Give up to 64 letters, digits and ._:-, such as 2026-01, or ` +
      `leave it out.`,
  );
}

function keyOptionError(message: string): CredentialsBackendError {
  return new CredentialsBackendError("invalid_options", `Cannot ${ACTION}: ${message}`);
}

/**
 * Options of {@linkcode EncryptedCredentialsBackend.rotate}.
 *
 * @category Backends
 */
export interface RotateOptions {
  /**
   * Whether a new key is made first. Only for a key that is kept in a backend.
   *
   * @default false
   */
  newKey?: boolean;
  /** Ends the rotation between two entries. A later run goes on. */
  signal?: AbortSignal;
}

/**
 * Result of a rotation, by credential key. Holds no secret.
 *
 * @category Backends
 */
export interface RotationResult {
  /** Entries that were encrypted anew with the current key. */
  readonly resealed: readonly string[];
  /** Entries that had the current key already. */
  readonly kept: readonly string[];
}

/**
 * Encrypts each entry anew by `reseal`, which gives `undefined` for an entry that was removed
 * meanwhile. An entry that cannot be read is reported at the end, so that no other stays behind.
 */
export async function rotateEntries(
  keys: readonly string[],
  reseal: (key: string) => Promise<"resealed" | "kept" | undefined>,
  signal: AbortSignal | undefined,
): Promise<RotationResult> {
  const result = { resealed: [] as string[], kept: [] as string[] };
  const faults: unknown[] = [];
  for (const key of keys) {
    signal?.throwIfAborted();
    try {
      const outcome = await reseal(key);
      if (outcome !== undefined) result[outcome].push(key);
    } catch (error) {
      if (signal?.aborted) throw error;
      faults.push(error);
    }
  }
  if (faults.length > 0) throw faults[0];
  return result;
}
