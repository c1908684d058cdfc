import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";
import { backendError, describeBackend } from "../../backends/common/describe_backend.ts";
import { untilAborted } from "../../backends/common/delay.ts";
import { MemoryCredentialsBackend } from "../../backends/memory.ts";
import type {
  MaybePromise,
  OidcCredentials,
  OidcCredentialsBackend,
  WithLockOptions,
} from "../../backends/oidc_credentials_backend.ts";
import { ValidMindAuthError } from "../errors.ts";
import type { Emit } from "../options/runtime.ts";
import { getOrSet, type Replaces, StoredCredential, unstoredEntries } from "./source.ts";

/** After this a wait is worth a word. */
const NOTICE_MS = 1000;

/** Queues for backends without a lock of their own: one refresh at a time per process, always. */
const processLocks = new WeakMap<object, MemoryCredentialsBackend>();

const flights = new WeakMap<object, Map<string, Flight>>();

/** One credential in a backend, with what changes it, and what could not be written to it. */
export class CredentialStore extends StoredCredential {
  readonly #unstored = unstoredEntries(this.identity);

  /** The entry, or `undefined` when there is none. Tries an unsuccessful write again. */
  async load(): Promise<OidcCredentials | undefined> {
    if (!this.#unstored.has(this.key)) return await this.read();
    try {
      return await this.withLock(() => this.loadLocked());
    } catch {
      return this.pending ?? await this.read();
    }
  }

  /** The same, for a caller that holds the lock. */
  async loadLocked(): Promise<OidcCredentials | undefined> {
    const pending = this.#unstored.get(this.key);
    if (pending === undefined) return await this.read();
    try {
      const stored = await this.read();
      const isWanted = pending.replaces === "anything" ||
        grantOf(stored) === pending.replaces.grant;
      if (isWanted) await this.#put(pending.entry);
      this.#unstored.delete(this.key);
      return isWanted ? pending.entry : stored;
    } catch {
      return pending.entry; // reported when it happened first; the next use tries again
    }
  }

  /** What is stored, for a look while another process holds the lock. Tells no fault. */
  async peek(): Promise<OidcCredentials | undefined> {
    return this.#unstored.has(this.key) ? undefined : await this.read().catch(() => undefined);
  }

  /**
   * Stores an entry. When that fails, the entry lives on in this process.
   *
   * @param replaces The entry that it takes the place of.
   */
  async save(
    entry: OidcCredentials,
    replaces: OidcCredentials | "anything" | undefined,
  ): Promise<void> {
    try {
      await this.#put(entry);
      this.#unstored.delete(this.key);
    } catch (error) {
      throw this.keepUnstored(entry, replaces, error);
    }
  }

  /** Keeps an entry in this process until a use of it can store it. Gives the error that says so. */
  keepUnstored(
    entry: OidcCredentials,
    replaces: OidcCredentials | "anything" | undefined,
    error: unknown,
  ): ValidMindAuthError {
    const earlier = this.#unstored.get(this.key)?.replaces;
    const own: Replaces = replaces === "anything" ? replaces : { grant: grantOf(replaces) };
    this.#unstored.set(this.key, {
      entry,
      replaces: own === "anything" ? own : earlier ?? own, // the store still has what came first
    });
    return notStored(this.backend, error);
  }

  /** Removes the entry, stored or not. */
  async remove(): Promise<void> {
    this.#unstored.delete(this.key);
    await this.#guard("delete credentials from", () => this.backend.delete(this.key));
  }

  /** Removes the whole store, where the backend can, for a store that cannot be understood. */
  async removeAll(): Promise<void> {
    this.#unstored.clear();
    await this.#guard("delete", () => this.backend.deleteAll?.());
  }

  /** Removes the entry only if its refresh token is still the refused one. */
  async removeRefused(refused: OidcCredentials): Promise<void> {
    if (grantOf(await this.loadLocked()) === grantOf(refused)) await this.remove();
  }

  /** Runs `fn` alone, as widely as the backend can see to it. */
  async withLock<T>(fn: () => Promise<T>, options: WithLockOptions<T> = {}): Promise<T> {
    const lock = this.backend.withLock
      ? this.backend as Required<Pick<OidcCredentialsBackend, "withLock">>
      : getOrSet(processLocks, this.identity, () => new MemoryCredentialsBackend());
    let own: { value: T } | { error: unknown } | undefined;
    try {
      return await lock.withLock(this.key, async () => {
        try {
          const value = await fn();
          own = { value };
          return value;
        } catch (error) {
          own = { error };
          throw error;
        }
      }, options);
    } catch (error) {
      // What was done counts, also where the lock could not be given back after it.
      if (own !== undefined && "value" in own) return own.value;
      if (own !== undefined) throw own.error;
      if (options.signal?.aborted && error === options.signal.reason) throw error;
      throw backendError("lock credentials in", this.backend, error);
    }
  }

  /** Proves that what is written can be read and removed, before a person is asked for anything. */
  async probe(): Promise<void> {
    const probe = new CredentialStore(this.backend, `probe|${crypto.randomUUID()}`);
    const entry = {
      issuer: "probe",
      client_id: "probe",
      access_token: "probe",
      expires_at: new Date(0).toISOString(),
    };
    let read: OidcCredentials | undefined;
    try {
      await probe.#put(entry);
      read = await probe.read();
    } catch (error) {
      await probe.remove().catch(() => undefined);
      throw error;
    }
    await probe.remove();
    const isGone = await probe.read() === undefined;
    if (read?.client_id === entry.client_id && read.access_token === entry.access_token && isGone) {
      return;
    }
    throw new CredentialsBackendError(
      "backend_unproven",
      `Cannot sign in with ${describeBackend(this.backend)}: a test entry that was written, read ` +
        `and removed did not come back the same. Repair the backend, or use another one.`,
    );
  }

  async #put(entry: OidcCredentials): Promise<void> {
    await this.#guard("write credentials to", () => this.backend.put(this.key, entry));
  }

  async #guard<T>(action: string, run: () => MaybePromise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      throw backendError(action, this.backend, error);
    }
  }
}

function grantOf(entry: OidcCredentials | undefined): string | undefined {
  return entry?.refresh_token ?? entry?.access_token;
}

/** Whether two entries belong to different grants, or states of one. */
export function isOtherGrant(one: OidcCredentials, other: OidcCredentials): boolean {
  return grantOf(one) !== grantOf(other);
}

function notStored(backend: OidcCredentialsBackend, error: unknown): ValidMindAuthError {
  const cause = backendError("write to", backend, error);
  return new ValidMindAuthError(
    "credentials_not_stored",
    `Cannot store the new tokens in ${
      describeBackend(backend)
    }: ${cause.message} They stay usable ` +
      `in this process, and each use tries to store them again; a new process would have to sign in.`,
    { cause },
  );
}

/** Who is told of a wait. */
interface WaitListeners {
  emit: Emit | undefined;
  /** Whose tokens are waited for; `undefined` where the person may not be told. */
  issuer: string | undefined;
}

/** Runs `fn` under the store's lock, and tells of the wait for it when that takes long. */
export async function withToldLock<T>(
  store: CredentialStore,
  fn: () => Promise<T>,
  options: WithLockOptions<T>,
  listeners: WaitListeners,
): Promise<T> {
  using wait = new LockWait(listeners);
  return await store.withLock(() => {
    wait.end();
    return fn();
  }, options);
}

/** One wait for a lock, which is told of when it takes long. */
class LockWait implements Disposable {
  readonly #emit: Emit | undefined;
  readonly #start = performance.now();
  // Not by setTimeout, whose first use in a process takes Deno some 4 ms.
  readonly #timer = AbortSignal.timeout(NOTICE_MS);
  readonly #onLong: () => void;
  #notice: Promise<{ erase(): void }> | undefined;
  #isLong = false;

  constructor({ emit, issuer }: WaitListeners) {
    this.#emit = emit;
    this.#onLong = () => this.#tell(issuer);
    this.#timer.addEventListener("abort", this.#onLong, { once: true });
  }

  /** Ends the wait. Further calls do nothing. */
  end(): void {
    this.#timer.removeEventListener("abort", this.#onLong);
    if (!this.#isLong) return;
    this.#isLong = false;
    this.#emit?.({ type: "lock_waited", waitedMs: this.#waitedMs() });
    this.#notice?.then((notice) => notice.erase()).catch(() => undefined);
  }

  [Symbol.dispose](): void {
    this.end();
  }

  #tell(issuer: string | undefined): void {
    this.#isLong = true;
    this.#emit?.({ type: "lock_waiting", waitedMs: this.#waitedMs() });
    if (issuer === undefined) return;
    const text = `Another process is refreshing the sign-in at ${issuer}; waiting for it …`;
    this.#notice = import("../prompt/terminal.ts").then(({ terminalNotice }) =>
      terminalNotice(text)
    );
    this.#notice.catch(() => undefined);
  }

  #waitedMs(): number {
    return Math.round(performance.now() - this.#start);
  }
}

interface Flight {
  promise: Promise<unknown>;
  abort: AbortController;
  waiters: number;
}

/**
 * Runs `fn`, or joins the run of it that is under way for the same owner and key.
 *
 * @param fn Gets a signal that aborts when nobody waits for the run any more.
 * @param signal Ends this caller's wait; the run goes on for the others.
 * @param onJoin Runs when a run is joined.
 */
export async function singleFlight<T>(
  owner: object,
  key: string,
  fn: (signal: AbortSignal) => Promise<T>,
  signal?: AbortSignal,
  onJoin: () => void = () => {},
): Promise<T> {
  signal?.throwIfAborted();
  const running = flights.get(owner) ?? new Map<string, Flight>();
  flights.set(owner, running);
  const joined = running.get(key);
  if (joined !== undefined) onJoin();
  const flight = joined ?? startFlight(running, key, fn);
  flight.waiters++;
  try {
    return await untilAborted(flight.promise as Promise<T>, signal);
  } finally {
    flight.waiters--;
    if (flight.waiters === 0 && running.get(key) === flight) {
      running.delete(key); // who comes now starts anew instead of joining what is being ended
      flight.abort.abort(signal?.reason);
    }
  }
}

function startFlight(
  running: Map<string, Flight>,
  key: string,
  fn: (signal: AbortSignal) => Promise<unknown>,
): Flight {
  const abort = new AbortController();
  const promise = fn(abort.signal).finally(() => {
    if (running.get(key) === flight) running.delete(key);
  });
  const flight: Flight = { promise, abort, waiters: 0 };
  running.set(key, flight);
  return flight;
}
