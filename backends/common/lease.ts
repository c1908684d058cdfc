import { CredentialsBackendError } from "../credentials_backend_error.ts";
import type { WithLockOptions } from "../oidc_credentials_backend.ts";
import { Queue, type Timer } from "./promises.ts";

export { SYSTEM_TIMER } from "./promises.ts";

export interface LeaseRow {
  /** The id of the holder; empty where nobody holds the lease. */
  readonly holder: string;
  /** Differs after each write of the row. It never comes back, also not after the lease was free. */
  readonly version: string | number | null;
}

export interface LeaseUse {
  /** As in "Cannot {action} …". */
  readonly action: string;
  readonly signal?: AbortSignal | undefined;
  /** A shorter time limit than the store's, in milliseconds. */
  readonly timeoutMs?: number;
}

/** A store of lease rows. */
export interface LeaseStore {
  read(name: string, use: LeaseUse): Promise<LeaseRow>;
  /**
   * Writes the row with this holder, if `row` is still the latest. Gives the new version; `undefined`
   * where another write came first.
   */
  write(
    name: string,
    holder: string,
    row: LeaseRow,
    use: LeaseUse,
  ): Promise<LeaseRow["version"] | undefined>;
}

export interface LeasesOptions {
  readonly store: LeaseStore;
  /** The store in words. */
  readonly place: () => string;
  readonly timer: Timer;
  readonly lockTimeoutMs: number;
}

/** A holder writes its lease anew at this interval, in milliseconds. */
export const SIGN_MS = 2_000;
/** A lease without a sign of its holder for this time is taken over, in milliseconds. */
export const SILENT_MS = 23_000;
/** The default of a wait, in milliseconds: longer than the silence of a holder that was killed. */
export const LOCK_TIMEOUT_MS = 40_000;
/**
 * The most that the time between two looks counts. While the waiter stands still, or does not reach the
 * store, its holder may do so, too.
 */
const LONGEST_GAP_MS = 5_000;
const LONGEST_PAUSE_MS = 500;
const ACTION = "lock credentials in";
/** A store that is down must not hold up the end of the holder's function. */
const BRIEFLY: LeaseUse = { action: ACTION, timeoutMs: 5_000 };

interface Sighting {
  readonly version: LeaseRow["version"];
  readonly at: number;
  readonly silentMs: number;
}

/**
 * Locks made of leases, for a store that several hosts share. The row of a lease names its holder, who
 * writes it anew as a sign of life.
 *
 * No clocks are compared: a waiter takes over a lease that has not changed for {@linkcode SILENT_MS} by
 * the waiter's own monotonic clock.
 */
export class Leases {
  readonly #options: LeasesOptions;
  readonly #queue: Queue;
  /** One holder for all uses of this instance, which wait for each other in the queue. */
  readonly #id = crypto.randomUUID();
  readonly #held = new Map<string, LeaseRow>();
  /** What was seen of leases of others. A later wait goes on from there. */
  readonly #seen = new Map<string, Sighting>();

  constructor(options: LeasesOptions) {
    this.#options = options;
    this.#queue = new Queue(options.lockTimeoutMs);
  }

  async run<T>(name: string, fn: () => Promise<T>, options: WithLockOptions<T>): Promise<T> {
    const { timer, lockTimeoutMs } = this.#options;
    const deadline = timer.now() + lockTimeoutMs;
    return await this.#queue.run(name, async () => {
      const seen = await this.#acquire(name, deadline, options);
      return seen ?? await this.#hold(name, fn);
    }, options.signal);
  }

  /** The row of a lease that this instance holds. */
  held(name: string): LeaseRow | undefined {
    return this.#held.get(name);
  }

  /** Throws where this instance held the lease, and another holder has taken it over. */
  async assertHeld(name: string, action: string): Promise<void> {
    if (!this.#held.has(name)) return;
    const row = await this.#options.store.read(name, { action });
    if (row.holder !== this.#id) {
      throw this.#locked(
        `${action} ${this.#options.place()}`,
        "the lock was lost, since this process stood still or did not reach the store for over " +
          `${SILENT_MS / 1000} s`,
        "Try again.",
      );
    }
    this.#held.set(name, row); // newer, where the answer to a sign of life did not arrive
  }

  async #acquire<T>(
    name: string,
    deadline: number,
    { signal, peek }: WithLockOptions<T>,
  ): Promise<T | undefined> {
    const { store, timer, lockTimeoutMs } = this.#options;
    for (let tries = 0;; tries++) {
      signal?.throwIfAborted();
      const asked = timer.now();
      const row = await store.read(name, { action: ACTION, signal });
      // Its own is left of a release that did not reach the store.
      const isFree = row.holder === "" || row.holder === this.#id;
      const isToTake = isFree || this.#silence(name, row, asked) >= SILENT_MS;
      if (isToTake && await this.#take(name, row, signal)) return undefined;
      if (timer.now() >= deadline) {
        throw this.#locked(
          `${ACTION} ${this.#options.place()} within ${lockTimeoutMs} ms`,
          "another notebook or script that shares this store holds the lock",
          `Wait for it or end it. The lock is free ${SILENT_MS / 1000} s later.`,
        );
      }
      const pause = Math.min(10 * (tries + 1), LONGEST_PAUSE_MS);
      await timer.delay((0.5 + Math.random()) * pause, signal);
      const seen = await peek?.();
      if (seen !== undefined) return seen;
    }
  }

  /** The time for which a lease was seen without a change, in milliseconds. */
  #silence(name: string, { version }: LeaseRow, asked: number): number {
    const before = this.#seen.get(name);
    const seen = before?.version === version
      ? { at: asked, silentMs: before.silentMs + Math.min(asked - before.at, LONGEST_GAP_MS) }
      : { at: this.#options.timer.now(), silentMs: 0 };
    this.#seen.set(name, { version, ...seen });
    return seen.silentMs;
  }

  async #take(name: string, row: LeaseRow, signal: AbortSignal | undefined): Promise<boolean> {
    try {
      const latest = await this.#write(name, this.#id, row, { action: ACTION, signal });
      if (latest.holder !== this.#id) return false;
      this.#held.set(name, latest);
      this.#seen.delete(name);
      return true;
    } catch (error) {
      await this.#release(name);
      throw error;
    }
  }

  /** The written row, or a newer one. It may be this one, where the answer to its write was lost. */
  async #write(name: string, holder: string, row: LeaseRow, use: LeaseUse): Promise<LeaseRow> {
    const { store } = this.#options;
    const version = await store.write(name, holder, row, use);
    return version === undefined ? await store.read(name, use) : { holder, version };
  }

  async #hold<T>(name: string, fn: () => Promise<T>): Promise<T> {
    let sign: Promise<void> | undefined;
    const signs = setInterval(() => {
      sign ??= this.#showLife(name).finally(() => sign = undefined);
    }, SIGN_MS);
    try {
      return await fn();
    } finally {
      clearInterval(signs);
      await sign; // after the release it would take the lease again
      await this.#release(name);
    }
  }

  async #showLife(name: string): Promise<void> {
    try {
      const row = await this.#write(name, this.#id, this.#held.get(name)!, BRIEFLY);
      if (row.holder === this.#id) this.#held.set(name, row);
    } catch {
      // The next sign tries again. A write that needs the lease notices that it is lost.
    }
  }

  async #release(name: string): Promise<void> {
    const held = this.#held.get(name);
    this.#held.delete(name);
    try {
      let row = held ?? await this.#options.store.read(name, BRIEFLY);
      while (row.holder === this.#id) row = await this.#write(name, "", row, BRIEFLY);
    } catch {
      // For others the lease ends by its silence.
    }
  }

  #locked(action: string, reason: string, remedy: string): CredentialsBackendError {
    return new CredentialsBackendError("backend_locked", { action, reason, remedy });
  }
}
