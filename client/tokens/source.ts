import { locationOf } from "../../backends/common/describe_backend.ts";
import { entryFrom } from "../../backends/common/entry_from.ts";
import { backendError, secretsOf } from "../../backends/common/foreign_error.ts";
import { Queue, untilAborted } from "../../backends/common/promises.ts";
import { remember } from "../../backends/common/redaction.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";
import { type Bearer, bearerOf, coversScope, freshUntil, isFresh } from "../entry/bearer.ts";
import { isEntryOfKey } from "../credential_key.ts";
import { throwToCaller } from "../errors.ts";
import type { OidcIdentity } from "../options/resolve_identity.ts";
import type { Runtime } from "../options/resolve_options.ts";
import type { ClearResult } from "../session.ts";
import type { AskOptions } from "../sign_in/flow.ts";

/** Options of {@linkcode TokenSource}. */
export interface TokenSourceOptions {
  identity: OidcIdentity;
  stored: StoredCredential;
  /** Whether the command line finds the store as well. */
  isFound: boolean;
  /** The token that goes on requests. */
  bearer: "access_token" | "id_token";
  runtime: Runtime;
  /** How a person is asked; absent where nobody is to be asked. */
  ask: AskOptions | undefined;
  /** Runs before the provider is needed at sign-in, and may refuse. */
  beforeProvider: () => Promise<void>;
  /** Loads the slow half. */
  loadRenewal: (options: TokenSourceOptions, held: HeldTokens) => Promise<Renewal>;
}

/** The slow half of a {@linkcode TokenSource}: see `TokenRenewal`. */
export interface Renewal {
  signIn(read: OidcCredentials | undefined, signal?: AbortSignal): Promise<boolean>;
  renew(rejected: string | undefined, signal?: AbortSignal): Promise<Bearer>;
  keyOf(bearer: Bearer): Promise<CryptoKeyPair>;
  prepareRefresh(): Promise<void>;
  clear(revoke: boolean, held: OidcCredentials | undefined): Promise<ClearResult>;
}

/**
 * Gives the bearer token of one identity. The quick half: it serves from memory and from the store,
 * and hands everything else to a {@linkcode Renewal}.
 */
export class TokenSource {
  readonly #options: TokenSourceOptions;
  /** The tokens in memory. */
  readonly held: HeldTokens;
  #renewal: Promise<Renewal> | undefined;

  constructor(options: TokenSourceOptions) {
    this.#options = options;
    this.held = new HeldTokens(options.bearer, options.runtime.secrets);
  }

  get backend(): OidcCredentialsBackend {
    return this.#options.stored.backend;
  }

  /**
   * Signs in from the store, by a refresh or by the person, in this order.
   *
   * @returns Whether the person was asked.
   */
  async signIn(signal?: AbortSignal): Promise<boolean> {
    const { stored, identity, runtime } = this.#options;
    // Unstored tokens and DPoP keys are handled by the renewal.
    const entry = stored.unstored ? undefined : await untilAborted(stored.read(), signal);
    const isBound = identity.dpop || entry?.dpop_key;
    if (entry !== undefined && !isBound && coversScope(entry, identity.scope)) {
      this.held.adopt(entry);
      if (isFresh(this.held.bearer, runtime.now())) return false;
    }
    return await (await this.renewal()).signIn(entry, signal);
  }

  /** The bearer token in memory, while it is fresh. */
  freshToken(): string | undefined {
    return this.held.fresh(this.#options.runtime.now())?.token;
  }

  /**
   * The bearer token, refreshed where it is about to end. Never asks the person, since nobody expects
   * a prompt from a call in the background.
   *
   * @param rejected A bearer that the API refused. It is replaced unless it has been already.
   */
  async bearer(rejected?: string, signal?: AbortSignal): Promise<Bearer> {
    const fresh = rejected === undefined && this.held.fresh(this.#options.runtime.now());
    return fresh || await (await this.renewal()).renew(rejected, signal).catch(throwToCaller);
  }

  /** The slow half. */
  renewal(): Promise<Renewal> {
    return this.#renewal ??= this.#options.loadRenewal(this.#options, this.held);
  }
}

/** The tokens that a session has in memory. */
export class HeldTokens {
  readonly #kind: "access_token" | "id_token";
  readonly #secrets: Set<string>;
  /** The bearer is given out without a check until then. */
  freshUntil = 0;
  /** The entry in use, for display. */
  entry: OidcCredentials | undefined;
  /** The bearer in use, fresh or not. */
  bearer: Bearer | undefined;
  /** The number of calls of {@linkcode forget}. What began before a call is not taken over after it. */
  forgets = 0;

  constructor(kind: "access_token" | "id_token", secrets: Set<string>) {
    this.#kind = kind;
    this.#secrets = secrets;
  }

  /** The bearer, while it is fresh. */
  fresh(now: number): Bearer | undefined {
    return now < this.freshUntil ? this.bearer : undefined;
  }

  /** Takes over an entry. */
  adopt(entry: OidcCredentials): void {
    remember(this.#secrets, secretsOf(entry));
    this.entry = entry;
    this.bearer = bearerOf(entry, this.#kind);
    this.freshUntil = this.bearer ? freshUntil(this.bearer) : 0;
  }

  /** Drops the tokens, and gives their entry. */
  forget(): OidcCredentials | undefined {
    const { entry } = this;
    this.forgets++;
    this.entry = this.bearer = undefined;
    this.freshUntil = 0;
    return entry;
  }
}

/** An entry that could not be stored. */
export interface Unstored {
  entry: OidcCredentials;
  /**
   * Whether it may replace the present entry: that of the grant before it, or an earlier unstored one, whose
   * write may have been done without an answer.
   */
  replaces: (present: OidcCredentials | undefined) => boolean;
}

/** A refresh or a sign-in that is under way. */
export interface Flight {
  promise: Promise<unknown>;
  abort: AbortController;
  waiters: number;
}

/** What the sessions of this process share about one store. */
class SharedState {
  /** By key. The next `init()` in this process has to find these tokens, too. */
  readonly unstored = new Map<string, Unstored>();
  /** For a backend without a lock of its own: one refresh at a time, always. */
  readonly queue = new Queue();
  readonly flights = new Map<string, Flight>();
}

const byLocation = new Map<string, SharedState>();
const byBackend = new WeakMap<object, SharedState>();

/** One credential in a backend, as every start reads it. `CredentialStore` changes it. */
export class StoredCredential {
  readonly backend: OidcCredentialsBackend;
  readonly key: string;
  /** The same object for two backends that lead to one place. */
  readonly shared: SharedState;

  constructor(backend: OidcCredentialsBackend, key: string) {
    this.backend = backend;
    this.key = key;
    this.shared = sharedState(backend);
  }

  /** The entry of this process that could not be stored yet. */
  get unstored(): OidcCredentials | undefined {
    return this.shared.unstored.get(this.key)?.entry;
  }

  /** A copy of the entry. A refresh token that is not text, from another program, counts as none. */
  async read(): Promise<OidcCredentials | undefined> {
    try {
      const isOfKey = (entry: OidcCredentials) => isEntryOfKey(entry, this.key);
      const entry = entryFrom(this.backend, await this.backend.get(this.key), isOfKey);
      if (entry && typeof entry.refresh_token !== "string") entry.refresh_token = null;
      return entry;
    } catch (error) {
      throw backendError("read credentials from", this.backend, error);
    }
  }
}

/** Backends of one class and location lead to one store, where it lasts. */
export function sharedState(backend: OidcCredentialsBackend): SharedState {
  const location = locationOf(backend);
  const create = () => new SharedState();
  return backend.persistent === true && location !== undefined
    ? getOrSet(byLocation, `${backend.constructor?.name} ${location}`, create)
    : getOrSet(byBackend, backend, create);
}

/** The value under a key of a map, made where there is none. */
export function getOrSet<K, V>(
  map: { get(key: K): V | undefined; set(key: K, value: V): unknown },
  key: K,
  create: () => V,
): V {
  const value = map.get(key) ?? create();
  map.set(key, value);
  return value;
}
