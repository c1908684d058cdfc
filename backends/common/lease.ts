import type { WithLockOptions } from "../oidc_credentials_backend.ts";
import { delay, type Timer } from "./promises.ts";

/** The time since the process began. */
export const SYSTEM_TIMER: Timer = { now: () => performance.now(), delay };

export interface LeaseRow {
  /** The holder's id; empty where nobody holds the lease. */
  readonly holder: string;
  /** Differs after each write of the row. */
  readonly state: string;
  /** Whether the holder has announced work that must not be done twice. */
  readonly isAnnounced: boolean;
}

export interface LeaseUse {
  /** The caller's action for messages, where it is not the locking itself. */
  readonly action?: string;
  readonly signal?: AbortSignal | undefined;
  /** A shorter time limit than the store's, in milliseconds. */
  readonly timeoutMs?: number;
}

/** A store of lease rows. A row's version never comes back, also not after the lease was free. */
export interface LeaseStore<Row extends LeaseRow> {
  read(name: string, use: LeaseUse): Promise<Row>;
  /**
   * Writes the row with this holder, if `row` is still the latest. An empty holder frees the lease.
   * The holder of `row` keeps its announcement; a new holder has none. Gives the new row; `undefined`
   * where another write came first.
   */
  write(name: string, holder: string, row: Row, use: LeaseUse): Promise<Row | undefined>;
  /** Replaces `write` for a free lease, in a store that cannot compare before it writes. */
  take?(name: string, holder: string, row: Row, use: LeaseUse): Promise<Row | undefined>;
}

export interface LeasesOptions<Row extends LeaseRow> {
  readonly store: LeaseStore<Row>;
  readonly timer: Timer;
  readonly lockTimeoutMs: number;
  /** The pause after a number of tries, in milliseconds. */
  pause(tries: number): number;
  timedOut(): Error;
  /**
   * Runs after a takeover, before the holder's function. A store that cannot bind a write to the
   * lease has to make a late write of the former holder fail here.
   */
  onTakeOver?(name: string): Promise<void>;
}

interface Sighting {
  readonly state: string;
  /** Time after the first look that saw this state. */
  readonly since: number;
  /** Time before the latest look. */
  readonly asked: number;
}

/** A lease that does not change for this time is taken over, in milliseconds. */
export const LEASE_MS = 15_000;
/**
 * The same after an announcement, in milliseconds. A holder that stands still with a request in flight,
 * such as on a closed laptop, is given this time to wake and to write its result.
 */
export const ANNOUNCED_MS = 90_000;
/**
 * A holder renews its lease at this interval. After a longer gap between two looks a waiter starts to
 * count anew: while the store is out of reach, or the waiter stands still, no holder can be silent.
 */
export const RENEWAL_MS = LEASE_MS / 3;
/**
 * A store that is down must not hold up the end of the holder's function. One that is only slow, because
 * everybody comes at once, has to take the release, or the next holder waits for the silence.
 */
const RELEASE_TIMEOUT_MS = RENEWAL_MS;

/**
 * Locks made of leases, for a store that several hosts share. The row of a lease names its holder, who
 * renews it by writing it anew.
 *
 * No clocks are compared. A waiter takes the lease over when it has not changed for
 * {@linkcode LEASE_MS} by the waiter's own monotonic clock, or for {@linkcode ANNOUNCED_MS} where its
 * holder has announced work that must not be done twice. A row has no end time: hosts whose clocks
 * differ would take a lease from a living holder, or wait for a dead one.
 */
export class Leases<Row extends LeaseRow> {
  readonly #options: LeasesOptions<Row>;
  readonly #held = new Map<string, Row>();
  readonly #writes = new Map<string, Promise<unknown>>();
  /** Holders of this instance that could not free their lease: it counts as free here. */
  readonly #left = new Map<string, Set<string>>();

  constructor(options: LeasesOptions<Row>) {
    this.#options = options;
  }

  async run<T>(name: string, fn: () => Promise<T>, options: WithLockOptions<T>): Promise<T> {
    const holder = crypto.randomUUID();
    const seen = await this.#acquire(name, holder, options);
    if (seen !== undefined) return seen;
    const timer = setInterval(() => {
      this.#inTurn(name, () => this.#renew(name, holder));
    }, RENEWAL_MS);
    try {
      return await fn();
    } finally {
      clearInterval(timer);
      await this.#writes.get(name); // a renewal under way would put back the lease after its release
      await this.#release(name, holder);
    }
  }

  /** The row of a lease that this instance holds: a write can depend on it. */
  held(name: string): Row | undefined {
    return this.#held.get(name);
  }

  /**
   * Announces work that must not be done twice, such as the request that spends a refresh token.
   * Without a lease it does nothing. `false`: another holder has the lease that this instance held.
   */
  async announce(name: string, use: LeaseUse = {}): Promise<boolean> {
    if (!this.#held.has(name)) return true;
    return await this.#inTurn(name, () => this.#announce(name, use));
  }

  async #announce(name: string, use: LeaseUse): Promise<boolean> {
    const { store } = this.#options;
    let row = this.#held.get(name);
    if (row === undefined) return true;
    const { holder } = row;
    while (row.holder === holder) {
      const written = await store.write(name, holder, { ...row, isAnnounced: true }, use);
      if (written !== undefined) {
        if (this.#held.get(name)?.holder === holder) this.#held.set(name, written);
        return true;
      }
      row = await store.read(name, use); // newer, where a renewal came first
    }
    return false;
  }

  async isLost(name: string, use: LeaseUse = {}): Promise<boolean> {
    const held = this.#held.get(name);
    if (held === undefined) return false;
    const row = await this.#options.store.read(name, use);
    if (row.holder !== held.holder) return true;
    this.#held.set(name, row); // newer, where a renewal was done and its answer did not arrive
    return false;
  }

  async #acquire<T>(
    name: string,
    holder: string,
    { signal, peek }: WithLockOptions<T>,
  ): Promise<T | undefined> {
    const { store, timer, lockTimeoutMs, pause, timedOut } = this.#options;
    const deadline = timer.now() + lockTimeoutMs;
    let sighting: Sighting | undefined;
    for (let tries = 0;; tries++) {
      signal?.throwIfAborted();
      const asked = timer.now();
      const row = await store.read(name, { signal });
      sighting = this.#look(row, asked, sighting);
      const isFree = row.holder === "" || this.#left.get(name)?.has(row.holder) === true;
      const silentMs = row.isAnnounced ? ANNOUNCED_MS : LEASE_MS;
      if (isFree || asked - sighting.since >= silentMs) {
        const held = await this.#take(name, holder, row, signal);
        if (held !== undefined) return await this.#begin(name, held, !isFree);
      }
      if (timer.now() >= deadline) throw timedOut();
      await timer.delay(pause(tries), signal);
      const seen = await peek?.();
      if (seen !== undefined) return seen;
    }
  }

  #look({ state }: Row, asked: number, before: Sighting | undefined): Sighting {
    const isSame = before?.state === state && asked - before.asked < RENEWAL_MS;
    return { state, asked, since: isSame ? before.since : this.#options.timer.now() };
  }

  async #take(
    name: string,
    holder: string,
    row: Row,
    signal: AbortSignal | undefined,
  ): Promise<Row | undefined> {
    const { store } = this.#options;
    const use = { signal };
    try {
      if (store.take !== undefined) return await store.take(name, holder, row, use);
      const written = await store.write(name, holder, row, use);
      if (written !== undefined) return written;
      const latest = await store.read(name, use); // the write may be done and its answer lost
      return latest.holder === holder ? latest : undefined;
    } catch (error) {
      await this.#free(name, holder);
      throw error;
    }
  }

  async #begin(name: string, held: Row, isTakenOver: boolean): Promise<undefined> {
    this.#held.set(name, held);
    if (!isTakenOver) return;
    try {
      await this.#options.onTakeOver?.(name);
    } catch (error) {
      await this.#release(name, held.holder);
      throw error;
    }
  }

  /**
   * Runs the writes of a held lease one after the other. In a store that cannot compare before it writes,
   * a renewal under way would take back an announcement.
   */
  #inTurn<T>(name: string, write: () => Promise<T>): Promise<T> {
    const written = (this.#writes.get(name) ?? Promise.resolve()).then(write);
    this.#writes.set(name, written.catch(() => undefined));
    return written;
  }

  /** A renewal that fails is noticed by the check of the write that the lease protects. */
  async #renew(name: string, holder: string): Promise<void> {
    const { store } = this.#options;
    const held = this.#held.get(name);
    if (held?.holder !== holder) return;
    try {
      const use = { timeoutMs: RENEWAL_MS };
      const row = await store.write(name, holder, held, use) ?? await store.read(name, use);
      if (row.holder === holder) this.#held.set(name, row);
    } catch {
      // The next renewal tries again.
    }
  }

  async #release(name: string, holder: string): Promise<void> {
    const held = this.#held.get(name);
    const isOwn = held?.holder === holder; // after a loss, another use of this instance may hold it
    if (isOwn) this.#held.delete(name);
    await this.#free(name, holder, isOwn ? held : undefined);
  }

  async #free(name: string, holder: string, known?: Row): Promise<void> {
    const { store } = this.#options;
    const use = { timeoutMs: RELEASE_TIMEOUT_MS };
    try {
      let row = known ?? await store.read(name, use);
      while (row.holder === holder && await store.write(name, "", row, use) === undefined) {
        row = await store.read(name, use); // newer, where a renewal was done without an answer
      }
      // An earlier holder of this instance may still be the one in the row.
      if (!this.#left.get(name)?.has(row.holder)) this.#left.delete(name);
    } catch {
      // For others the lease ends by its silence.
      this.#left.set(name, (this.#left.get(name) ?? new Set()).add(holder));
    }
  }
}
