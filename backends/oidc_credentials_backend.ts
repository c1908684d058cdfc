/**
 * A value, or a promise of it. A backend with a synchronous store can return the value itself.
 *
 * @category Backends
 */
export type MaybePromise<T> = T | Promise<T>;

/**
 * One stored credential: the tokens of one person at one provider, as plain JSON.
 *
 * The field names are those of the credentials file that the ValidMind Python library shares.
 * `issuer`, `client_id`, `audience`, `scope`, `lifetime` and `expires_at` are not secret. **Every
 * other value of an entry is a secret**: never print, log or render one.
 *
 * A backend stores the whole object and gives it back, with fields that it does not know.
 *
 * @category Backends
 */
export interface OidcCredentials {
  /** Issuer identifier, without a trailing slash. */
  issuer: string;
  /** OAuth client id. */
  client_id: string;
  /** The access token. Secret. */
  access_token: string;
  /**
   * When the bearer token stops being valid: ISO 8601, UTC. A timestamp without a zone is UTC. A
   * missing or unreadable one counts as expired.
   */
  expires_at?: string | null;
  /** The refresh token, where the provider gave one. Secret. `null` means absent. */
  refresh_token?: string | null;
  /** The ID token, where the provider gave one. Secret. `null` means absent. */
  id_token?: string | null;
  /**
   * The bearer token's lifetime in seconds, only where it is below 1200. A token counts as expired for
   * the last tenth of it, and otherwise for the last 120 seconds.
   */
  lifetime?: number | null;
  /** The API identifier that the tokens were asked for. */
  audience?: string | null;
  /** The requested scope, not the granted one. Providers may grant less, or rename it. */
  scope?: string | null;
  /** The private key that the tokens are bound to (DPoP), if they are: a JWK. Secret. */
  dpop_key?: unknown;
  /** Fields of other versions and other programs, kept as they are. */
  [field: string]: unknown;
}

/**
 * A permission that a backend declares. `need: "sign_in"` marks a permission that only the storing
 * and removing of tokens need. A start from a stored token does not need it. `need: "optional"` marks
 * one that is used only where it is granted. Every other permission is always needed.
 *
 * @category Backends
 */
export type BackendPermission = Deno.PermissionDescriptor & {
  /** When it is needed. */
  readonly need?: "always" | "sign_in" | "optional";
};

/**
 * Options of {@linkcode OidcCredentialsBackend.put}.
 *
 * @category Backends
 */
export interface PutOptions {
  /**
   * Decides by the present entry whether the new entry is stored. If it gives `false`, `put` changes
   * nothing and gives `false`. It may be called more than once. A session gives it after a refresh, so that
   * a sign-out without the lock is not undone. A backend that can compare and write in one step lets no other
   * change come in between. Any other one asks shortly before the write, or ignores it.
   */
  isReplaced?: (stored: OidcCredentials | undefined) => boolean;
}

/**
 * Options of {@linkcode OidcCredentialsBackend.withLock}.
 *
 * @category Backends
 */
export interface WithLockOptions<T = unknown> {
  /** Ends the wait for the lock. It does not interrupt a function that has begun to run. */
  signal?: AbortSignal;
  /**
   * Checks whether the holder of the lock has already done the work. A value ends the wait:
   * `withLock` gives it without the lock and without a run of `fn`. A backend may call this before
   * each further try for a lock that is held, or not at all. It saves many waiters from taking turns.
   */
  peek?: () => MaybePromise<T | undefined>;
}

/**
 * A store of credentials: the protocol of every backend, built in or your own.
 *
 * Three methods are enough: `get`, `put` and `delete`. The others are optional. Without `withLock`,
 * two processes may refresh one token at once. Without `list`, nothing can clear or migrate all
 * entries of a store.
 *
 * The contract, in short:
 *
 * - `get` gives `undefined` (or `null`) for an absent entry. **An unreadable entry is an error.** If
 *   a failure counted as "not signed in", people would sign in again over their entry;
 * - `get` gives an object of the entry's fields. Its text or bytes are `backend_corrupt`;
 * - `put` resolves only when the entry is stored;
 * - keys are opaque strings of any Unicode, up to some hundred characters;
 * - no error has a value of an entry in it.
 *
 * @category Backends
 *
 * @example A backend of your own
 * ```ts
 * import type { OidcCredentials, OidcCredentialsBackend } from "@validmind/auth";
 *
 * class TeamStore implements OidcCredentialsBackend {
 *   #rows = new Map<string, string>(); // stands for a client of your secret store
 *
 *   get(key: string): OidcCredentials | undefined {
 *     const row = this.#rows.get(key);
 *     return row === undefined ? undefined : JSON.parse(row);
 *   }
 *   put(key: string, entry: OidcCredentials): void {
 *     this.#rows.set(key, JSON.stringify(entry));
 *   }
 *   delete(key: string): void {
 *     this.#rows.delete(key);
 *   }
 * }
 *
 * const store: OidcCredentialsBackend = new TeamStore();
 * await store.delete("absent"); // not an error
 * ```
 */
export interface OidcCredentialsBackend {
  /** The entry under `key`, or `undefined` (or `null`) only when there is none. */
  get(key: string): MaybePromise<OidcCredentials | undefined | null>;
  /**
   * Stores `entry` under `key`, over an earlier entry. Resolves only once it is stored.
   *
   * Gives `false` where {@linkcode PutOptions.isReplaced} refused, and nothing was stored. Any other
   * result means that the entry is stored. A backend may ignore the options.
   */
  put(key: string, entry: OidcCredentials, options?: PutOptions): MaybePromise<boolean | void>;
  /** Removes the entry under `key`. An absent one is not an error. */
  delete(key: string): MaybePromise<void>;
  /**
   * Runs `fn` while nobody else holds the lock of this key, in this process or in another that shares
   * the store. Releases the lock however `fn` ends. `fn` may call `get`, `put` and `delete` of this
   * backend.
   */
  withLock?<T>(key: string, fn: () => Promise<T>, options?: WithLockOptions<T>): Promise<T>;
  /** The keys of all entries, in any order. */
  list?(): AsyncIterable<string>;
  /** Removes every entry without reading it. So it works on a store that cannot be parsed. */
  deleteAll?(): MaybePromise<void>;
  /**
   * All permissions that the backend needs, each as narrow as it can be. If the backend makes other
   * files beside its file, the folder belongs to them. If this method is absent,
   * `requiredPermissions()` of the module names no permission for the backend.
   */
  requiredPermissions?(): BackendPermission[];
  /** Whether entries survive the process. Absent means unknown. */
  readonly persistent?: boolean;
  /** The place of the entries in words, for people: a path, or a host with the account there. No secrets. */
  readonly location?: string;
  /**
   * The identity of the store, for nobody's eyes. In one process, two objects with the same text are one
   * store: their sessions share tokens. So each person's store needs a text of its own. Without it, only
   * one object is one store.
   */
  readonly storeId?: string;
  /** Releases handles. After that the backend must not be used. */
  close?(): MaybePromise<void>;
}
