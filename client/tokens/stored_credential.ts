import { describeBackend } from "../../backends/common/describe_backend.ts";
import { backendError } from "../../backends/common/foreign_error.ts";
import { Queue, untilAborted } from "../../backends/common/promises.ts";
import { entryFrom } from "../../backends/common/read_backend.ts";
import { corruptEntry } from "../../backends/credentials_backend_error.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";
import { isEntryOfKey } from "../credential_key.ts";

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
    if (!flight) {
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
  signOutsOf(key: string): number {
    const [all = 0, own = 0] = ["", key].map((one) => this.#signOuts.get(one));
    return all + own;
  }

  /** Ends the sessions of a key, or of all. */
  signOut(key = ""): void {
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
  get unstored(): OidcCredentials | undefined {
    return this.kept?.entry;
  }

  /** How often this process has signed out of the entry. */
  get signOuts(): number {
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
      if (!entry) return undefined;
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
export function sharedState(backend: OidcCredentialsBackend): SharedState {
  const id: unknown = backend.storeId;
  const isNamed = typeof id === "string";
  const state = (isNamed ? byId.get(id) : byBackend.get(backend)) ?? new SharedState();
  if (isNamed) byId.set(id, state);
  else byBackend.set(backend, state);
  return state;
}
