import { CredentialsBackendError } from "./credentials_backend_error.ts";
import { delay } from "./delay.ts";
import { isDatabaseLocked, isUrl, kvError } from "./kv_error.ts";
import type { OidcCredentials, WithLockOptions } from "./oidc_credentials_backend.ts";
import { folderOf } from "./folder_of.ts";

/** What {@linkcode KvStore.open} is told. */
export interface KvStoreOptions {
  path: string;
  lockTimeoutMs: number;
  timeoutMs: number;
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
      return new KvStore(await perform(() => Deno.openKv(path), options), options);
    } catch (error) {
      throw kvError("open", path, error);
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
    const rows = this.#kv.list({ prefix: ["validmind", "oidc"] });
    for (;;) {
      const { done, value } = await this.#try("list", () => rows.next());
      if (done) return;
      if (value.value !== null) yield String(value.key.at(-1));
    }
  }

  /** Runs `fn` under the key's lease. */
  async withLock<T>(
    key: string,
    fn: () => Promise<T>,
    options: WithLockOptions<T>,
  ): Promise<T> {
    const holder = crypto.randomUUID();
    const seen = await this.#acquire(key, holder, options);
    if (seen !== undefined) return seen;
    let renewal = Promise.resolve();
    const timer = setInterval(() => {
      renewal = renewal.then(() => this.#renew(key, holder));
    }, LEASE_MS / 3);
    try {
      return await fn();
    } finally {
      clearInterval(timer);
      await renewal; // one under way would put back the lease after its release
      await this.#release(key);
    }
  }

  /** Closes the handle. */
  close(): void {
    this.#kv.close();
  }

  /** Resolves with the lease, or with what `peek` saw instead. */
  async #acquire<T>(
    key: string,
    holder: string,
    { signal, peek }: WithLockOptions<T>,
  ): Promise<T | undefined> {
    const deadline = Date.now() + this.#options.lockTimeoutMs;
    for (let tries = 0;; tries++) {
      signal?.throwIfAborted();
      const current = await this.#try("lock", () => this.#kv.get<Lease>(leaseKey(key)));
      const isFree = current.value === null || current.value.until <= Date.now();
      if (isFree && await this.#writeLease(key, holder, current.versionstamp)) return undefined;
      if (Date.now() >= deadline) throw this.#lockTimeout();
      await delay((1 + Math.random()) * Math.min(5 + tries, 50), signal);
      const seen = await peek?.();
      if (seen !== undefined) return seen;
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
    await this.#try(
      "unlock",
      () =>
        this.#kv.atomic().check({ key: leaseKey(key), versionstamp }).delete(leaseKey(key))
          .commit(),
    )
      .catch(() => undefined);
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
      return await perform(operation, this.#options);
    } catch (error) {
      throw kvError(action, this.#options.path, error);
    }
  }
}

/** Deno itself waits and tries for ever where a server does not answer. */
async function perform<T>(operation: () => Promise<T>, options: KvStoreOptions): Promise<T> {
  const { path, lockTimeoutMs, timeoutMs } = options;
  // Held for milliseconds by whoever writes: not the lock whose wait the option limits.
  if (!isUrl(path)) return await whenUnlocked(operation, Math.max(lockTimeoutMs, 1000));
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new DOMException(`no answer within ${timeoutMs} ms`, "TimeoutError")),
    timeoutMs,
  );
  try {
    return await Promise.race([operation(), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Runs an operation again while another handle is writing to the same database file: Deno reports
 * that at once instead of waiting, and has then done nothing.
 */
async function whenUnlocked<T>(operation: () => Promise<T>, timeoutMs: number): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (let tries = 0;; tries++) {
    try {
      return await operation();
    } catch (error) {
      if (!isDatabaseLocked(error) || Date.now() >= deadline) throw error;
      await delay((1 + Math.random()) * Math.min(2 + tries, 25));
    }
  }
}

/** SQLite gives its companion files the mode of the database, so the file has to be first. */
function prepareFile(path: string): void {
  try {
    createFile(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    Deno.mkdirSync(folderOf(path), { recursive: true, mode: 0o700 });
    createFile(path);
  }
  if (Deno.build.os !== "windows") Deno.chmodSync(path, 0o600);
}

function createFile(path: string): void {
  Deno.openSync(path, { write: true, create: true, mode: 0o600 }).close();
}
