import { describeBackend } from "../../backends/common/describe_backend.ts";
import { entryFrom } from "../../backends/common/read_backend.ts";
import { backendError, secretsOf } from "../../backends/common/foreign_error.ts";
import { Queue, untilAborted } from "../../backends/common/promises.ts";
import { remember } from "../../backends/common/redaction.ts";
import { corruptEntry } from "../../backends/credentials_backend_error.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";
import { type Bearer, bearerOf, freshUntil, readClaims, type TokenKind } from "../entry/bearer.ts";
import { isEntryOfKey } from "../credential_key.ts";
import type { OidcIdentity } from "../options/resolve_identity.ts";
import type { Runtime } from "../options/resolve_options.ts";
import type { SessionOptions } from "../session_options.ts";
import type { AskOptions } from "../sign_in/flow.ts";

/** Options of a `TokenSource`. */
export interface TokenSourceOptions {
  identity: OidcIdentity;
  /** The options as the caller gave them. */
  call: SessionOptions;
  stored: StoredCredential;
  /** Whether the command line finds the store as well. */
  isFound: boolean;
  /** The token that goes on requests. */
  bearer: TokenKind;
  runtime: Runtime;
  /** How a person is asked; absent where nobody is to be asked. */
  ask: AskOptions | undefined;
  /** Whether the person is asked for a first sign-in, too, and not only for another one. */
  asksFirst: boolean;
  /** Why no person may be asked, in words. */
  silencedBy?: string | undefined;
  /** Runs before the provider is needed at sign-in, and may refuse. */
  beforeProvider: () => Promise<void>;
}

/** How long a token in its last minutes is used on while the provider cannot be reached. */
const BRIDGE_MS = 10_000;

/** The tokens that a session has in memory. A sign-out anywhere in this process ends them. */
export class HeldTokens {
  readonly #options: TokenSourceOptions;
  #entry: OidcCredentials | undefined;
  #bearer: Bearer | undefined;
  #freshUntil = 0;
  #forgets = 0;
  /** The person of the last ID token, also after a sign-out. */
  #person: { readonly sub: unknown } | undefined;
  /** The era of the tokens in memory. */
  #since = 0;

  constructor(options: TokenSourceOptions) {
    this.#options = options;
  }

  /** Another number after each sign-out. What began before one is not taken over after it. */
  get era() {
    return this.#forgets + this.#options.stored.signOuts;
  }

  /** The entry in use, for display. */
  get entry() {
    if (this.#since === this.era) return this.#entry;
    return undefined;
  }

  /** The bearer in use, fresh or not. */
  get bearer() {
    return this.entry && this.#bearer;
  }

  /** The bearer, while it is fresh. */
  get fresh() {
    if (this.#options.runtime.now() < this.#freshUntil) return this.bearer;
    return undefined;
  }

  /** The bearer, until its end. */
  get alive() {
    if (isAlive(this.bearer, this.#options.runtime.now())) return this.bearer;
    return undefined;
  }

  /**
   * Takes over an entry.
   *
   * @param era The era in which it was read.
   */
  adopt(entry: OidcCredentials, era = this.era) {
    const { bearer, runtime } = this.#options;
    remember(runtime.secrets, secretsOf(entry));
    this.#since = era;
    this.#entry = entry;
    if (entry.id_token) this.#person = { sub: subOf(entry) };
    this.#bearer = bearerOf(entry, bearer);
    if (this.#bearer !== undefined) this.#freshUntil = freshUntil(this.#bearer);
  }

  /** Takes over an entry that is not stored: the next use goes to the store, to write it. */
  adoptUnstored(entry: OidcCredentials) {
    this.adopt(entry);
    this.#freshUntil = 0;
  }

  /** Notes that the refresh token works no more. */
  dropRefreshToken() {
    if (this.#entry !== undefined) this.#entry = { ...this.#entry, refresh_token: null };
  }

  /** Whether an entry is of another person than the session was, as far as their ID tokens tell. */
  isOfAnother(entry: OidcCredentials) {
    return Boolean(this.#person && entry.id_token) && this.#person!.sub !== subOf(entry);
  }

  /** Gives the bearer out for some seconds more, up to its end. */
  bridge() {
    const { expiresAt = 0 } = this.bearer ?? {};
    this.#freshUntil = Math.min(expiresAt, this.#options.runtime.now() + BRIDGE_MS);
  }

  /** Drops the tokens, and gives their entry. */
  forget() {
    const { entry } = this;
    this.#forgets++;
    this.#entry = this.#bearer = undefined;
    return entry;
  }
}

/** The person of an entry, as its ID token names one. */
export function subOf({ id_token }: OidcCredentials): unknown {
  return readClaims(id_token)?.sub;
}

/** Whether a bearer has not ended. */
export function isAlive(bearer: Bearer | undefined, now: number): bearer is Bearer {
  return bearer !== undefined && now < bearer.expiresAt;
}

/** The token by which a state of one sign-in is told from others; `undefined` where nothing is stored. */
export type Grant = string | undefined;

/** An entry that could not be stored. */
export interface Unstored {
  entry: OidcCredentials;
  /**
   * The grants that it may replace: that before it, and those of earlier unstored entries, whose write may
   * have been done without an answer.
   */
  readonly replaces: Grant[];
}

/** A refresh or a sign-in that is under way. */
interface Flight {
  promise: Promise<unknown>;
  abort: AbortController;
  waiters: number;
}

/** The things that the sessions of this process share about one store. */
class SharedState {
  /** By key. The next `init()` in this process has to find these tokens, too. */
  readonly unstored = new Map<string, Unstored>();
  /** For a backend without a lock of its own: one refresh at a time, always. */
  readonly queue = new Queue();
  /** By how many seconds a provider's clock is ahead, by issuer. */
  readonly skews = new Map<string, number>();
  readonly #flights = new Map<string, Flight>();
  /** By key; those of all keys under an empty one. */
  readonly #signOuts = new Map<string, number>();

  /**
   * Runs `fn`, or joins the run of it that is under way. `fn` gets a signal that aborts when nobody waits
   * any more. `signal` ends this caller's wait alone.
   */
  async fly<T>(
    name: string,
    fn: (signal: AbortSignal) => Promise<T>,
    signal: AbortSignal | undefined,
    onJoin: () => void,
  ): Promise<T> {
    signal?.throwIfAborted();
    const running = this.#flights;
    let flight = running.get(name);
    const end = () => running.get(name) === flight && running.delete(name);
    if (flight === undefined) {
      const abort = new AbortController();
      flight = { promise: fn(abort.signal).finally(end), abort, waiters: 0 };
      running.set(name, flight);
    } else onJoin();
    flight.waiters++;
    try {
      return await untilAborted(flight.promise as Promise<T>, signal);
    } finally {
      flight.waiters--;
      // The next caller starts anew instead of joining a run that is ended.
      if (flight.waiters === 0 && end()) flight.abort.abort(signal?.reason);
    }
  }

  /** How often this process has signed out of a key. */
  signOutsOf(key: string) {
    const [all = 0, own = 0] = ["", key].map((one) => this.#signOuts.get(one));
    return all + own;
  }

  /** Ends the sessions of a key, or of all. */
  signOut(key = "") {
    this.#signOuts.set(key, (this.#signOuts.get(key) ?? 0) + 1);
  }
}

const byId = new Map<string, SharedState>();
const byBackend = new WeakMap<object, SharedState>();

/** One credential in a backend, as every start reads it. `CredentialStore` changes it. */
export class StoredCredential {
  /** The same object for two backends that lead to one place. */
  readonly shared: SharedState;

  constructor(readonly backend: OidcCredentialsBackend, readonly key: string) {
    this.shared = sharedState(backend);
  }

  /** What this process keeps until it can be stored. */
  get kept() {
    return this.shared.unstored.get(this.key);
  }

  /** The entry of this process that could not be stored yet. */
  get unstored() {
    return this.kept?.entry;
  }

  /** How often this process has signed out of the entry. */
  get signOuts() {
    return this.shared.signOutsOf(this.key);
  }

  /**
   * A copy of the entry. A refresh token that is not text, from another program, counts as none. An entry
   * of another key is an error, since its tokens would go to the wrong provider.
   *
   * @param forSignIn Whether an entry of another key counts as none, since a sign-in takes its place.
   */
  async read(forSignIn = false): Promise<OidcCredentials | undefined> {
    try {
      const entry = entryFrom(this.backend, await this.backend.get(this.key));
      if (entry === undefined) return undefined;
      if (!isEntryOfKey(entry, this.key)) {
        if (forSignIn) return undefined;
        const reason = "the stored entry belongs to another issuer or client than its key names";
        const action = `read credentials from ${describeBackend(this.backend)}`;
        throw corruptEntry(action, reason, "Sign in again, or remove it");
      }
      if (typeof entry.refresh_token !== "string") entry.refresh_token = null;
      return entry;
    } catch (error) {
      throw backendError("read credentials from", this.backend, error);
    }
  }
}

/** The same for two backends with one identity; without an identity for one backend alone. */
export function sharedState(backend: OidcCredentialsBackend) {
  const id: unknown = backend.storeId;
  const isNamed = typeof id === "string";
  const state = (isNamed ? byId.get(id) : byBackend.get(backend)) ?? new SharedState();
  if (isNamed) byId.set(id, state);
  else byBackend.set(backend, state);
  return state;
}
