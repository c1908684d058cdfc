/**
 * A value, or a promise of it: a backend over a synchronous store need not pretend to be slow.
 *
 * @category Backends
 */
export type MaybePromise<T> = T | Promise<T>;

/**
 * One stored credential: the tokens of one person at one provider, as plain JSON.
 *
 * The field names are those of the credentials file that the ValidMind Python library shares, hence
 * snake_case. **Every value of an entry but `issuer`, `client_id`, `audience`, `scope`,
 * `lifetime` and `expires_at` is a secret**: never print, log or render one.
 *
 * A backend stores the object whole and gives it back whole, with fields it does not know.
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
  /** The requested scope, not the granted one: providers grant less, or rename. */
  scope?: string | null;
  /** The private key that the tokens are bound to (DPoP), if they are: a JWK. Secret. */
  dpop_key?: unknown;
  /** Fields of other versions and other programs, kept as they are. */
  [field: string]: unknown;
}

/**
 * A permission that a backend declares. `need: "sign_in"` marks one that only storing and removing
 * need, so that a start from a stored token does without it; any other is always needed.
 *
 * @category Backends
 */
export type BackendPermission = Deno.PermissionDescriptor & {
  /** When it is needed. */
  readonly need?: "always" | "sign_in";
};

/**
 * Options of {@linkcode OidcCredentialsBackend.put}.
 *
 * @category Backends
 */
export interface PutOptions {
  /**
   * Decides by the present entry whether the new one is stored; else `put` changes nothing. It is
   * called right before the write, with no other change in between, and perhaps more than once. A
   * session gives it after a refresh: a sign-out that got no lock must not be undone. A backend that
   * cannot compare and write in one step ignores it.
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
   * each further try for a lock that is held, or not at all; it saves a crowd of waiters from
   * taking turns.
   */
  peek?: () => MaybePromise<T | undefined>;
}

/**
 * A place where credentials live: the protocol that every backend follows, built in or your own.
 *
 * Three methods are enough: `get`, `put` and `delete`. The others are optional and each adds
 * something: without `withLock`, two processes may refresh one token at once; without `list`,
 * nothing can clear or migrate all of a store.
 *
 * The contract, in short:
 *
 * - absent is `undefined` (or `null`) from `get`; **unreadable is an error**, since a failure taken
 *   for "not signed in" makes people sign in again and overwrites their entry;
 * - `get` gives an object of the entry's fields; its text or bytes are `backend_corrupt`;
 * - `put` resolves only when the entry is stored;
 * - keys are opaque strings, up to some hundred characters, of any Unicode;
 * - no error carries an entry's values.
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
   * Stores `entry` under `key`, over an earlier entry. Resolves only once it is stored. The options are
   * optional for a backend, too.
   */
  put(key: string, entry: OidcCredentials, options?: PutOptions): MaybePromise<void>;
  /** Removes the entry under `key`. An absent one is not an error. */
  delete(key: string): MaybePromise<void>;
  /**
   * Runs `fn` while nobody else holds the lock of this key, in this process or in another that shares
   * the store. Releases the lock however `fn` ends. `fn` may call `get`, `put` and `delete` of this
   * backend.
   */
  withLock?<T>(key: string, fn: () => Promise<T>, options?: WithLockOptions<T>): Promise<T>;
  /** The keys of all entries, in no order that may be relied on. */
  list?(): AsyncIterable<string>;
  /** Removes every entry, without a need to read them: works on a store that cannot be parsed. */
  deleteAll?(): MaybePromise<void>;
  /**
   * All that the backend needs of Deno, each as narrow as it can be. The path of a file counts with
   * its folder where the backend makes other files beside it. Absent means that nobody knows them:
   * `requiredPermissions()` of the module then names none for the backend.
   */
  requiredPermissions?(): BackendPermission[];
  /** Whether entries survive the process. Absent means unknown. */
  readonly persistent?: boolean;
  /** Where entries are, in words for a person: a path, a host. Without secrets. */
  readonly location?: string;
  /** Releases handles. The backend may not be used after it. */
  close?(): MaybePromise<void>;
}
