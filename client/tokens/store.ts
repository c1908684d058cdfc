import { describeBackend } from "../../backends/common/describe_backend.ts";
import { backendError, rememberEntry } from "../../backends/common/foreign_error.ts";
import { probeKey, provesWrites } from "../../backends/common/probe.ts";
import { untilAborted } from "../../backends/common/promises.ts";
import { remember } from "../../backends/common/redaction.ts";
import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";
import type {
  MaybePromise,
  OidcCredentials,
  PutOptions,
  WithLockOptions,
} from "../../backends/oidc_credentials_backend.ts";
import { ValidMindAuthError } from "../errors.ts";
import { isShownByCaller, showLine } from "../prompt/terminal.ts";
import { type Flight, StoredCredential, type TokenSourceOptions, type Unstored } from "./source.ts";

/** Whether an entry may take the place of what is stored. */
type Replaces = Unstored["replaces"];

/** The used refresh tokens of this process. A provider takes a second use for a theft. */
const spent = new Set<string>();

/** One credential in a backend: reads it, changes it, and keeps an entry that could not be written. */
export class CredentialStore extends StoredCredential {
  /** The entry, or `undefined` when there is none. Tries an unsuccessful write again. */
  async load(): Promise<OidcCredentials | undefined> {
    if (this.unstored === undefined) return await this.read();
    return await this.withLock(() => this.loadLocked()).catch(() => this.unstored ?? this.read());
  }

  /** The same, for a caller that holds the lock. */
  async loadLocked(): Promise<OidcCredentials | undefined> {
    const unstored = this.shared.unstored.get(this.key);
    if (unstored === undefined) return await this.read();
    const { entry, replaces } = unstored;
    let isStored: boolean;
    try {
      isStored = await this.#putOver(entry, replaces);
    } catch {
      return entry; // its first failure was reported; the next use tries again
    }
    if (this.shared.unstored.get(this.key) === unstored) this.shared.unstored.delete(this.key);
    return isStored ? entry : await this.read();
  }

  /** The entry while another process holds the lock. Reports no fault. */
  async peek(): Promise<OidcCredentials | undefined> {
    if (this.unstored !== undefined) return undefined;
    return await this.read().catch(() => undefined);
  }

  /**
   * Stores the entry of a new sign-in, whatever is stored. Under the lock, since a refresh may run. Where it
   * cannot be written, it later replaces only the entry that was there then. If that cannot be read, it
   * replaces the one from before the sign-in. So a later sign-out or sign-in of another process wins.
   */
  async saveNew(entry: OidcCredentials, before: OidcCredentials | undefined): Promise<void> {
    try {
      await this.withLock(() => this.#put(entry).catch(() => this.#put(entry)));
      this.shared.unstored.delete(this.key);
    } catch (error) {
      const replaced = await this.read().catch(() => before);
      throw this.#keepUnstored(entry, isGrantOf(replaced), error);
    }
  }

  /**
   * Stores an entry in the place of another one, and of no other grant: a sign-out or a new sign-in that
   * came in between wins. Then the result is `false`, and the entry was not stored. Where it cannot be
   * written, it is kept in this process.
   */
  async replace(entry: OidcCredentials, replaced: OidcCredentials | undefined): Promise<boolean> {
    // Also the states of an unstored entry, which it follows.
    const earlier = this.shared.unstored.get(this.key)?.replaces;
    const replaces = (present?: OidcCredentials) =>
      isGrantOf(replaced)(present) || earlier?.(present) === true;
    try {
      const isStored = await this.#putOver(entry, replaces);
      if (isStored) this.shared.unstored.delete(this.key);
      return isStored;
    } catch (error) {
      throw this.#keepUnstored(entry, replaces, error);
    }
  }

  /** Removes the entry, stored or not, and what a probe has left behind. */
  async remove(): Promise<void> {
    this.shared.unstored.delete(this.key);
    await this.#delete();
    const probe = new CredentialStore(this.backend, await probeKey(this.key));
    await probe.#delete().catch(() => undefined); // the entry is gone, which is what counts
  }

  /** Removes the whole store, where the backend can: the way out of a store that cannot be read. */
  async removeAll(): Promise<void> {
    this.shared.unstored.clear();
    await this.#guard("delete", () => this.backend.deleteAll?.());
  }

  /** Runs `fn` alone, as widely as the backend can lock. */
  async withLock<T>(fn: () => Promise<T>, options: WithLockOptions<T> = {}): Promise<T> {
    let own: Promise<T> | undefined;
    const run = () => own = fn();
    try {
      if (this.backend.withLock) return await this.backend.withLock(this.key, run, options);
      return await this.shared.queue.run(this.key, run, options.signal);
    } catch (error) {
      // The result of `fn` counts, also where the lock could not be released after it.
      if (own !== undefined) return await own;
      if (options.signal?.aborted && error === options.signal.reason) throw error;
      throw backendError("lock credentials in", this.backend, error);
    }
  }

  /**
   * Proves, under the lock, that the next entry can be written, before the refresh token of the present
   * one is spent. The present entry is not written again in its own place: that would undo a sign-out.
   */
  async prove(present: OidcCredentials | undefined): Promise<void> {
    if (this.backend.persistent === false || provesWrites(this.backend)) return;
    await this.probe(JSON.stringify(present ?? "").length);
  }

  /** Proves, under the lock, that an entry can be written, read and removed. */
  async probe(length = 5): Promise<void> {
    const probe = new CredentialStore(this.backend, await probeKey(this.key));
    const expires_at = new Date(0).toISOString();
    const access_token = "x".repeat(length);
    let read: OidcCredentials | undefined;
    try {
      await probe.#put({ issuer: "probe", client_id: "probe", access_token, expires_at });
      read = await probe.read();
    } finally {
      await probe.#delete();
    }
    if (read?.access_token === access_token && await probe.read() === undefined) return;
    throw new CredentialsBackendError("backend_unproven", {
      action: `keep tokens in ${describeBackend(this.backend)}`,
      reason: "a test entry did not come back as it was written, or was still there after its " +
        "removal",
      remedy: "Repair the backend, or use another one.",
    });
  }

  /**
   * Stores an entry over some states of the store, or not at all. A sign-out that got no lock may come
   * between the look and the write, so the backend compares again. A fault is tried once more at once, since
   * it may pass; the write may be done all the same, so its own grant counts as replaced then.
   */
  async #putOver(entry: OidcCredentials, replaces: Replaces): Promise<boolean> {
    const attempt = async (counts: Replaces) => {
      let isWanted = true;
      const isReplaced = (present: OidcCredentials | undefined) => isWanted = counts(present);
      // Also here, since not every backend compares.
      if (isReplaced(await this.read())) await this.#put(entry, { isReplaced });
      return isWanted;
    };
    return await attempt(replaces)
      .catch(() => attempt((present) => replaces(present) || isGrantOf(entry)(present)));
  }

  /** Keeps an entry in this process until a later use can store it. Gives the error that says so. */
  #keepUnstored(
    entry: OidcCredentials,
    replaces: Replaces,
    error: unknown,
  ): ValidMindAuthError {
    this.shared.unstored.set(this.key, { entry, replaces });
    const cause = backendError("write to", this.backend, error);
    const place = describeBackend(this.backend);
    return new ValidMindAuthError("credentials_not_stored", {
      action: `store the new tokens in ${place}`,
      reason: `${cause.message} The tokens stay usable in this process`,
      remedy: "Each use tries to store them again. A new process may have to sign in.",
      cause,
    });
  }

  async #put(entry: OidcCredentials, options?: PutOptions): Promise<void> {
    rememberEntry(entry);
    await this.#guard("write credentials to", () => this.backend.put(this.key, entry, options));
  }

  async #delete(): Promise<void> {
    await this.#guard("delete credentials from", () => this.backend.delete(this.key));
  }

  async #guard<T>(action: string, run: () => MaybePromise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      throw backendError(action, this.backend, error);
    }
  }
}

/** The grant of an entry: two entries with the same one are the same state of one sign-in. */
export function grantOf(entry: OidcCredentials | undefined): string | undefined {
  // A backend gives its rows to `isReplaced` as they are.
  return [entry?.refresh_token, entry?.access_token].find((token) => typeof token === "string");
}

/** Compares the state of a store with an entry, or with none. */
function isGrantOf(entry: OidcCredentials | undefined): Replaces {
  return (present) => grantOf(present) === grantOf(entry);
}

/** Remembers, for this process, that a refresh token is used up. */
export function markSpent(token: string): void {
  remember(spent, [token]);
}

/** Whether this process knows that a refresh token is used up. */
export function isSpent(token: string): boolean {
  return spent.has(token);
}

/** Loaded where a person is asked. */
export const loadDialog = () => import("../sign_in/dialog.ts");

/** Longer waits are reported, and shown to a person who is there. */
const NOTICE_MS = 3000;

/**
 * Runs `fn`, or joins the run of it that is under way for the same store and key. `fn` gets a signal
 * that aborts when nobody waits any more. `signal` ends this caller's wait alone.
 */
export async function singleFlight<T>(
  running: Map<string, Flight>,
  key: string,
  fn: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal | undefined,
  onJoin: () => void,
): Promise<T> {
  signal?.throwIfAborted();
  let flight = running.get(key);
  if (flight === undefined) {
    const abort = new AbortController();
    const end = () => running.get(key) === flight && running.delete(key);
    flight = { promise: fn(abort.signal).finally(end), abort, waiters: 0 };
    running.set(key, flight);
  } else onJoin();
  flight.waiters++;
  try {
    return await untilAborted(flight.promise as Promise<T>, signal);
  } finally {
    flight.waiters--;
    if (flight.waiters === 0 && running.get(key) === flight) {
      running.delete(key); // the next caller starts anew instead of joining a run that is ended
      flight.abort.abort(signal?.reason);
    }
  }
}

/** Runs `fn` under the store's lock, and reports a long wait for the lock, and its end. */
export async function takeTurn<T>(
  store: CredentialStore,
  fn: () => Promise<T>,
  lock: WithLockOptions<T>,
  { ask, runtime: { emit } }: TokenSourceOptions,
): Promise<T> {
  const start = performance.now();
  const waitedMs = () => Math.round(performance.now() - start);
  const onLong = () => {
    emit?.({ type: "lock_waiting", waitedMs: waitedMs() });
    if (ask === undefined || isShownByCaller(ask)) return;
    showLine(
      `Waiting for another notebook or script that signs in or refreshes with the same entry of ` +
        `${describeBackend(store.backend)}.`,
    );
  };
  // Not by setTimeout, whose first use in a process takes Deno some 4 ms.
  const timer = AbortSignal.timeout(NOTICE_MS);
  timer.addEventListener("abort", onLong, { once: true });
  const end = () => timer.removeEventListener("abort", onLong);
  try {
    return await store.withLock(() => {
      end();
      if (timer.aborted) emit?.({ type: "lock_waited", waitedMs: waitedMs() });
      return fn();
    }, lock);
  } finally {
    end();
  }
}
