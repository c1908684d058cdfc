import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { delay } from "../common/delay.ts";
import type { WithLockOptions } from "../oidc_credentials_backend.ts";

/** Time for a Deno KV store. */
export interface KvClock {
  /** Milliseconds of a clock that is never set: only differences count. */
  now(): number;
  /** Waits. */
  delay(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The time since the process began, and real waiting. */
export const SYSTEM_CLOCK: KvClock = { now: () => performance.now(), delay };

/** What {@linkcode KvLeases} works with. */
export interface KvLeasesOptions {
  kv: Deno.Kv;
  /** Where the store is, for messages. */
  path: string;
  lockTimeoutMs: number;
  /** Longest pause between two looks at a lease that is held, in milliseconds. */
  pauseMs: number;
  /** Runs an operation of `kv` within the store's time limit. */
  run<T>(action: string, operation: () => Promise<T>): Promise<T>;
  clock: KvClock;
}

interface Lease {
  holder: string;
}

interface Held extends Lease {
  versionstamp: string;
}

interface Sighting {
  versionstamp: string;
  /** When it was first seen so. */
  since: number;
  /** When it was last seen so. */
  last: number;
}

/** How long a lease has to stand still before its holder counts as dead. */
export const LEASE_MS = 15_000;
/** How often a living holder renews it. */
export const RENEW_MS = LEASE_MS / 3;

/** Where the lease of a key is. */
export const leaseKey = (key: string): Deno.KvKey => ["validmind", "oidc_lease", key];

/**
 * Locks by rows of a Deno KV store, one for each key that is locked.
 *
 * A row says who holds the lock, and not until when: hosts whose clocks differ would take over from
 * the living, or wait for the dead. Its holder writes it anew all the time, which gives it another
 * versionstamp. Who waits takes it over once he saw no other versionstamp for {@linkcode LEASE_MS}
 * by his own clock. Nor does it end by `expireIn`, which Deno computes from the holder's clock.
 */
export class KvLeases {
  readonly #options: KvLeasesOptions;
  readonly #clock: KvClock;
  readonly #held = new Map<string, Held>();

  constructor(options: KvLeasesOptions) {
    this.#options = options;
    this.#clock = options.clock;
  }

  /** The versionstamp of a lease that is held here, for the fencing check of a write. */
  versionstamp(key: string): string | undefined {
    return this.#held.get(key)?.versionstamp;
  }

  /** Runs `fn` under the key's lease. */
  async withLease<T>(
    key: string,
    fn: () => Promise<T>,
    options: WithLockOptions<T>,
  ): Promise<T> {
    const holder = crypto.randomUUID();
    const seen = await this.#acquire(key, holder, options);
    if (seen !== undefined) return seen;
    let renewal = Promise.resolve();
    const timer = setInterval(() => {
      renewal = renewal.then(() => this.#renew(key, holder));
    }, RENEW_MS);
    try {
      return await fn();
    } finally {
      clearInterval(timer);
      await renewal; // one under way would put back the lease after its release
      await this.#release(key, holder);
    }
  }

  /**
   * Looks whether a lease is still this holder's although its versionstamp is another: so it is
   * where a renewal was done and its answer did not arrive.
   */
  async isStillHeld(key: string): Promise<boolean> {
    const held = this.#held.get(key);
    if (held === undefined) return false;
    const { value, versionstamp } = await this.#read(key);
    return value?.holder === held.holder && this.#hold(key, held.holder, versionstamp);
  }

  /** Resolves with the lease, or with what `peek` saw instead. */
  async #acquire<T>(
    key: string,
    holder: string,
    { signal, peek }: WithLockOptions<T>,
  ): Promise<T | undefined> {
    const { lockTimeoutMs, pauseMs } = this.#options;
    const deadline = this.#clock.now() + lockTimeoutMs;
    let sighting: Sighting | undefined;
    for (let tries = 0;; tries++) {
      signal?.throwIfAborted();
      const { value, versionstamp } = await this.#read(key);
      // Our own, where the write was done and its answer did not arrive.
      if (value?.holder === holder && this.#hold(key, holder, versionstamp)) return undefined;
      sighting = versionstamp === null ? undefined : this.#look(versionstamp, sighting);
      const isFree = sighting === undefined || sighting.last - sighting.since >= LEASE_MS;
      if (isFree && await this.#write(key, holder, versionstamp)) return undefined;
      if (this.#clock.now() >= deadline) throw this.#lockTimeout();
      await this.#clock.delay((1 + Math.random()) * Math.min(5 + tries, pauseMs), signal);
      const seen = await peek?.();
      if (seen !== undefined) return seen;
    }
  }

  /** A time without looks, such as a server's outage, says nothing about the holder. */
  #look(versionstamp: string, before: Sighting | undefined): Sighting {
    const now = this.#clock.now();
    const isSame = before?.versionstamp === versionstamp && now - before.last < RENEW_MS;
    return { versionstamp, since: isSame ? before.since : now, last: now };
  }

  async #read(key: string): Promise<Deno.KvEntryMaybe<Lease>> {
    return await this.#options.run("lock", () => this.#options.kv.get<Lease>(leaseKey(key)));
  }

  async #write(key: string, holder: string, versionstamp: string | null): Promise<boolean> {
    const lease: Lease = { holder };
    const result = await this.#options.run("lock", () =>
      this.#options.kv.atomic()
        .check({ key: leaseKey(key), versionstamp })
        .set(leaseKey(key), lease)
        .commit());
    return result.ok && this.#hold(key, holder, result.versionstamp);
  }

  #hold(key: string, holder: string, versionstamp: string | null): boolean {
    if (versionstamp === null) return false;
    this.#held.set(key, { holder, versionstamp });
    return true;
  }

  async #renew(key: string, holder: string): Promise<void> {
    const held = this.#held.get(key);
    if (held?.holder !== holder) return;
    // A renewal that fails is found out by the fencing check of the write that it protects.
    await this.#write(key, holder, held.versionstamp).catch(() => false);
  }

  /** Gives a lease back, unless it was lost: by now another use of this store may have got it. */
  async #release(key: string, holder: string): Promise<void> {
    try {
      do {
        const held = this.#held.get(key);
        if (held?.holder !== holder || await this.#remove(key, held)) return;
      } while (await this.isStillHeld(key));
    } catch {
      // Out of reach: who waits will see that the lease stands still.
    } finally {
      if (this.#held.get(key)?.holder === holder) this.#held.delete(key);
    }
  }

  async #remove(key: string, { versionstamp }: Held): Promise<boolean> {
    const { ok } = await this.#options.run("unlock", () =>
      this.#options.kv.atomic()
        .check({ key: leaseKey(key), versionstamp })
        .delete(leaseKey(key))
        .commit());
    return ok;
  }

  #lockTimeout(): CredentialsBackendError {
    const { path, lockTimeoutMs } = this.#options;
    return new CredentialsBackendError(
      "backend_locked",
      `Cannot lock credentials in ${path} within ${lockTimeoutMs} ms: another notebook or script ` +
        `that shares this store is refreshing them. Wait for it or end it.`,
    );
  }
}
