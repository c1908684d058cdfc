import { checkOptions } from "./common/check_options.ts";
import { isUrl, netHost, parsePlainUrl } from "./common/host.ts";
import { dirname } from "./common/paths.ts";
import { PROVES } from "./common/marks.ts";
import { Once } from "./common/promises.ts";
import { needDeno } from "./common/runtime.ts";
import { CredentialsBackendError } from "./credentials_backend_error.ts";
import type { KvStore, KvStoreOptions } from "./kv/store.ts";
import type {
  BackendPermission,
  OidcCredentials,
  OidcCredentialsBackend,
  PutOptions,
  WithLockOptions,
} from "./oidc_credentials_backend.ts";

/** Loaded at the first use of the store. */
const loadStore = () => import("./kv/store.ts");

/**
 * Options of {@linkcode KvCredentialsBackend}.
 *
 * @category Backends
 */
export interface KvCredentialsBackendOptions {
  /**
   * `":memory:"`, the path of a database file, or the `https:` URL of a KV Connect server. `http:` is
   * for loopback only.
   *
   * @default {":memory:"}
   */
  path?: string;
  /**
   * Longest wait for another holder's lock, in milliseconds. On a server a holder that was killed
   * blocks others for 23 s: a shorter wait fails.
   *
   * @default {40_000}
   */
  lockTimeoutMs?: number;
  /**
   * Longest wait for an answer of a KV Connect server, in milliseconds. A write that timed out may
   * still take place later.
   *
   * @default {30_000}
   */
  timeoutMs?: number;
}

/**
 * Keeps credentials in [Deno KV](https://docs.deno.com/deploy/kv/): in memory by default, in a
 * database file, or on a server that several hosts share. The store is opened at the first use.
 *
 * Deno's unnamed default database cannot be used, since it moves with a project's configuration. A
 * database file and the files that SQLite makes beside it are 0600 (Deno's own default is 0644). A
 * file of another user is refused, and so is a file in a folder that others can write. SQLite leaves
 * the bytes of a removed entry in the file until it uses their space: revoke the tokens of a sign-out.
 * An entry holds at most 64 KiB.
 *
 * A server of KV Connect, such as `denokv`, needs a proxy in front that adds TLS, since `http:` is
 * for loopback only. Deno never cancels an operation. If the server stops answering during one, the
 * process stays alive.
 *
 * Needs `--unstable-kv`. A path also needs `--allow-read` and `--allow-write` for its folder, which
 * holds SQLite's own files and the locks. A URL needs `--allow-net` for its host, and
 * `--allow-env=DENO_KV_ACCESS_TOKEN`, which Deno reads.
 *
 * @category Backends
 *
 * @example
 * ```ts
 * import { KvCredentialsBackend } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * const backend = new KvCredentialsBackend(); // this process only
 * assertEquals(await backend.get("https://login.example.com|my-app"), undefined);
 * await backend.close();
 * ```
 */
export class KvCredentialsBackend implements OidcCredentialsBackend {
  /** The name of the class, also in minified code. */
  static readonly name = "KvCredentialsBackend";
  /** Whether entries survive the process. In `:memory:` they do not. */
  readonly persistent: boolean;
  /** The path or URL of the store. */
  readonly path: string;
  /**
   * On a server the write of the lease proves it.
   *
   * @ignore
   */
  readonly [PROVES]: boolean;
  readonly #options: KvStoreOptions;
  readonly #store = new Once<KvStore>();

  /**
   * Opens nothing yet.
   *
   * @param options The store's place and time limits.
   * @throws {CredentialsBackendError} `invalid_options`, `runtime_unsupported`.
   */
  constructor(options: KvCredentialsBackendOptions = {}) {
    needDeno("create KvCredentialsBackend");
    checkOptions("create KvCredentialsBackend", options, {
      path: "path",
      lockTimeoutMs: "milliseconds",
      timeoutMs: "milliseconds",
    });
    const { path = ":memory:", lockTimeoutMs = 40_000, timeoutMs = 30_000 } = options;
    checkUrl(path);
    this.path = path;
    this.persistent = path !== ":memory:";
    this[PROVES] = isUrl(path);
    this.#options = { path, lockTimeoutMs, timeoutMs };
  }

  /** The place of the entries, in words. */
  get location(): string {
    return this.persistent ? this.path : "a Deno KV database in the memory of this process";
  }

  /**
   * The entry under `key`, or `undefined` when there is none.
   *
   * @throws {CredentialsBackendError} `unstable_kv_required`, `permission_required`,
   * `backend_denied`, `backend_corrupt`, `backend_unavailable`; of a server also
   * `backend_auth_failed` and `backend_timeout`.
   */
  async get(key: string): Promise<OidcCredentials | undefined> {
    return await (await this.#open()).get(key);
  }

  /**
   * Stores `entry` under `key`. On a server, a write under the key's lock without `isReplaced` takes
   * place only if nobody has taken the lock over.
   *
   * @throws {CredentialsBackendError} As {@linkcode get}, and `backend_too_large`,
   * `backend_locked`.
   */
  async put(key: string, entry: OidcCredentials, options?: PutOptions): Promise<void> {
    await (await this.#open()).put(key, entry, options);
  }

  /**
   * Removes the entry under `key`, if there is one.
   *
   * @throws {CredentialsBackendError} As {@linkcode put}.
   */
  async delete(key: string): Promise<void> {
    await (await this.#open()).delete(key);
  }

  /**
   * The keys of all entries.
   *
   * @throws {CredentialsBackendError} As {@linkcode get}.
   */
  async *list(): AsyncGenerator<string> {
    yield* (await this.#open()).list();
  }

  /**
   * Runs `fn` while no other holder of the same key's lock runs, on any host that shares the store.
   *
   * For a file it is a kernel lock on a file beside the database. The lock ends with the holder's
   * process. A holder that is stopped, for example by a closed laptop, keeps it. On a server it is a
   * lease, which its holder renews every 2 seconds. If the lease does not change for 23 seconds, a
   * waiter takes it over. The waiter measures this by its own clock, so that no host's clock has to
   * be right.
   *
   * @throws {CredentialsBackendError} `runtime_unsupported`; `backend_locked` after
   * `lockTimeoutMs`; the signal's reason when it ends the wait.
   */
  async withLock<T>(
    key: string,
    fn: () => Promise<T>,
    options: WithLockOptions<T> = {},
  ): Promise<T> {
    return await (await this.#open()).withLock(key, fn, options);
  }

  /**
   * A file needs its folder, which also holds the locks and SQLite's own files. A server needs its
   * host, and the variable with the access token. Memory needs nothing.
   */
  requiredPermissions(): BackendPermission[] {
    const { path } = this;
    if (!this.persistent) return [];
    if (!isUrl(path)) {
      const folder = dirname(path);
      return [{ name: "read", path: folder }, { name: "write", path: folder }];
    }
    return [
      { name: "net", host: netHost(new URL(path)) },
      { name: "env", variable: "DENO_KV_ACCESS_TOKEN" },
    ];
  }

  /** Closes the store. Entries in `:memory:` are gone. A later use opens it again. */
  async close(): Promise<void> {
    (await this.#store.forget()?.catch(() => undefined))?.close();
  }

  #open(): Promise<KvStore> {
    return this.#store.get(async () => (await loadStore()).KvStore.open(this.#options));
  }
}

/**
 * Refuses three addresses: one that Deno would take for a file name, one with a secret in it, which
 * errors would show, and one without TLS.
 */
function checkUrl(path: string): void {
  if (!/^\s*(https?:|[a-z][a-z\d+.-]+:\/\/)/i.test(path)) return;
  if (isUrl(path) && parsePlainUrl(path) !== null) return;
  throw new CredentialsBackendError("invalid_options", {
    action: "create KvCredentialsBackend",
    reason: 'option "path" is neither a file nor a plain URL',
    remedy: "Begin a URL with https:// in lower case, without a user name, a password and a " +
      "query. Put the token into DENO_KV_ACCESS_TOKEN. http: is for localhost, 127.0.0.1 " +
      "and [::1] only, since the network would see the credentials.",
  });
}
