import { CredentialsBackendError } from "./credentials_backend_error.ts";
import { delay } from "./delay.ts";
import { fileError } from "./file_error.ts";
import type { OidcCredentials } from "./oidc_credentials_backend.ts";
import { folderOf } from "./write_file_atomic.ts";

/** What {@linkcode KvStore.open} is told. */
export interface KvStoreOptions {
  path: string;
  lockTimeoutMs: number;
}

interface Lease {
  holder: string;
  /** Milliseconds since the epoch after which anybody may take the lease over. */
  until: number;
}

/** How long a dead holder blocks others. A living one renews three times as often. */
const LEASE_MS = 15_000;

const entryKey = (key: string): Deno.KvKey => ["validmind", "oidc", key];
const leaseKey = (key: string): Deno.KvKey => ["validmind", "oidc_lease", key];

/** An open Deno KV store: loaded only when it is used. */
export class KvStore {
  readonly #kv: Deno.Kv;
  readonly #options: KvStoreOptions;
  /** The versionstamp of each lease that this instance holds, for the fencing check of a write. */
  readonly #leases = new Map<string, string>();

  private constructor(kv: Deno.Kv, options: KvStoreOptions) {
    this.#kv = kv;
    this.#options = options;
  }

  /** Opens the store, and makes the database file where there is none. */
  static async open(options: KvStoreOptions): Promise<KvStore> {
    const { path } = options;
    if (typeof Deno.openKv !== "function") {
      throw new CredentialsBackendError(
        "unstable_kv_required",
        `Cannot open Deno KV (${path}): Deno.openKv is not enabled. Run with --unstable-kv, or ` +
          `set "unstable": ["kv"] in deno.json.`,
      );
    }
    try {
      if (path !== ":memory:" && !isUrl(path)) prepareFile(path);
      return new KvStore(await Deno.openKv(path), options);
    } catch (error) {
      throw isUrl(path)
        ? urlError(path, error)
        : fileError("open the Deno KV database", path, error);
    }
  }

  /** The entry, or `undefined`. */
  async get(key: string): Promise<OidcCredentials | undefined> {
    const { value } = await this.#try("read", () => this.#kv.get(entryKey(key)));
    if (value === null || value === undefined) return undefined;
    if (typeof value !== "object" || Array.isArray(value)) {
      throw new CredentialsBackendError(
        "backend_corrupt",
        `Cannot read credentials from ${this.#options.path}: the entry for "${key}" is not an ` +
          `object. Remove it with clearOidcCredentials().`,
      );
    }
    return value as OidcCredentials;
  }

  /** Writes the entry, if a lease that is held is still held. */
  async put(key: string, entry: OidcCredentials): Promise<void> {
    // Through JSON: the value that every other backend would store, without undefined or classes.
    const value = JSON.parse(JSON.stringify(entry));
    await this.#commit(key, (atomic) => atomic.set(entryKey(key), value));
  }

  /** Removes the entry, if a lease that is held is still held. */
  async delete(key: string): Promise<void> {
    await this.#commit(key, (atomic) => atomic.delete(entryKey(key)));
  }

  /** The keys of all entries. */
  async *list(): AsyncGenerator<string> {
    for await (const { key } of this.#kv.list({ prefix: ["validmind", "oidc"] })) {
      yield String(key.at(-1));
    }
  }

  /** Runs `fn` under the key's lease. */
  async withLock<T>(key: string, fn: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const holder = crypto.randomUUID();
    await this.#acquire(key, holder, signal);
    const renewal = setInterval(() => this.#renew(key, holder), LEASE_MS / 3);
    try {
      return await fn();
    } finally {
      clearInterval(renewal);
      await this.#release(key);
    }
  }

  /** Closes the handle. */
  close(): void {
    this.#kv.close();
  }

  async #acquire(key: string, holder: string, signal?: AbortSignal): Promise<void> {
    const deadline = Date.now() + this.#options.lockTimeoutMs;
    for (let tries = 0;; tries++) {
      signal?.throwIfAborted();
      const current = await this.#try("lock", () => this.#kv.get<Lease>(leaseKey(key)));
      const isFree = current.value === null || current.value.until <= Date.now();
      if (isFree && await this.#writeLease(key, holder, current.versionstamp)) return;
      if (Date.now() >= deadline) throw this.#lockTimeout();
      await delay((1 + Math.random()) * Math.min(5 + tries, 50), signal);
    }
  }

  async #writeLease(key: string, holder: string, versionstamp: string | null): Promise<boolean> {
    const lease: Lease = { holder, until: Date.now() + LEASE_MS };
    const result = await this.#try("lock", () =>
      this.#kv.atomic()
        .check({ key: leaseKey(key), versionstamp })
        .set(leaseKey(key), lease, { expireIn: LEASE_MS * 4 })
        .commit());
    if (result.ok) this.#leases.set(key, result.versionstamp);
    return result.ok;
  }

  async #renew(key: string, holder: string): Promise<void> {
    const versionstamp = this.#leases.get(key);
    if (versionstamp === undefined) return;
    // A renewal that fails is found out by the fencing check of the write that it protects.
    await this.#writeLease(key, holder, versionstamp).catch(() => false);
  }

  async #release(key: string): Promise<void> {
    const versionstamp = this.#leases.get(key);
    this.#leases.delete(key);
    if (versionstamp === undefined) return;
    // Not ours any more, or out of reach: then the lease ends by itself.
    await this.#kv.atomic().check({ key: leaseKey(key), versionstamp }).delete(leaseKey(key))
      .commit().catch(() => undefined);
  }

  async #commit(key: string, change: (atomic: Deno.AtomicOperation) => void): Promise<void> {
    const versionstamp = this.#leases.get(key);
    const result = await this.#try("write", () => {
      const atomic = this.#kv.atomic();
      if (versionstamp !== undefined) atomic.check({ key: leaseKey(key), versionstamp });
      change(atomic);
      return atomic.commit();
    });
    // A renewal between reading the versionstamp and the commit: the lease is still ours.
    if (!result.ok && this.#leases.get(key) !== versionstamp) {
      return await this.#commit(key, change);
    }
    if (!result.ok) {
      throw new CredentialsBackendError(
        "backend_locked",
        `Cannot write to ${this.#options.path}: the lock was lost while it was held, since this ` +
          `process stood still for over ${LEASE_MS / 1000} s. Try again.`,
      );
    }
  }

  #lockTimeout(): CredentialsBackendError {
    const { path, lockTimeoutMs } = this.#options;
    return new CredentialsBackendError(
      "backend_locked",
      `Cannot lock credentials in ${path} within ${lockTimeoutMs} ms: another notebook or script ` +
        `that shares this store is refreshing them. Wait for it or end it.`,
    );
  }

  async #try<T>(action: string, operation: () => Promise<T>): Promise<T> {
    try {
      return await operation();
    } catch (error) {
      throw operationError(action, this.#options.path, error);
    }
  }
}

function isUrl(path: string): boolean {
  return /^https?:/.test(path);
}

/** SQLite gives its companion files the mode of the database, so the file has to be first. */
function prepareFile(path: string): void {
  Deno.mkdirSync(folderOf(path), { recursive: true, mode: 0o700 });
  Deno.openSync(path, { write: true, create: true, mode: 0o600 }).close();
  if (Deno.build.os !== "windows") Deno.chmodSync(path, 0o600);
}

function operationError(action: string, path: string, error: unknown): CredentialsBackendError {
  if (error instanceof TypeError && /too large/i.test(error.message)) {
    return new CredentialsBackendError(
      "backend_too_large",
      `Cannot ${action} credentials in ${path}: the entry is larger than the 64 KiB that Deno KV ` +
        `holds. Use another backend, or ask the provider for smaller tokens.`,
    );
  }
  return isUrl(path)
    ? urlError(path, error)
    : fileError(`${action} credentials in the Deno KV database`, path, error);
}

function urlError(path: string, error: unknown): CredentialsBackendError {
  const host = URL.parse(path)?.host ?? path;
  if (error instanceof Deno.errors.NotCapable) {
    return new CredentialsBackendError(
      "permission_required",
      `Cannot reach Deno KV at ${host}: Deno does not permit it. Run with --allow-net=${host} ` +
        `--allow-env=DENO_KV_ACCESS_TOKEN.`,
      { cause: error },
    );
  }
  return new CredentialsBackendError(
    "backend_unavailable",
    `Cannot use Deno KV at ${host}: ${error instanceof Error ? error.name : "unknown error"}. ` +
      `Check that the server runs and that DENO_KV_ACCESS_TOKEN is right.`,
    { cause: error },
  );
}
