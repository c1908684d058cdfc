import type { WithLockOptions } from "../oidc_credentials_backend.ts";
import type { VaultRuntime } from "./client.ts";
import { vaultError } from "./error.ts";
import { lockName, type VaultKv, type VaultSecret, type VaultUse } from "./engine.ts";

/** What {@linkcode VaultLock} works with. */
export interface VaultLockOptions {
  readonly kv: VaultKv;
  /** The store in words. */
  readonly place: string;
  readonly runtime: VaultRuntime;
  readonly lockTimeoutMs: number;
  /**
   * Runs when a lease was taken over from a holder that fell silent, before anything else under the
   * lock: a write of that holder, which may still come, has to fail.
   */
  readonly onTakeOver: (name: string) => Promise<void>;
}

/** How long a dead holder blocks others. */
export const LEASE_MS = 15_000;
const RENEWAL_MS = LEASE_MS / 3;
/**
 * After more time than this between two looks a holder's silence counts anew. While Vault is out of
 * reach, or this process stands still, no holder is silent: it has to be seen to be.
 */
const LONGEST_LOOK_MS = RENEWAL_MS;
/**
 * Without check-and-set: longer than a write may take from the look that found the lock free.
 * Whoever reads his own name after it has the lock (Fischer's mutual exclusion).
 */
const SETTLE_MS = 500;
/** A dead server must not hold up the end of what ran under the lock: the lease ends by itself. */
const RELEASE_TIMEOUT_MS = 2_000;
const ACTION = "lock credentials in";
const FREE = { holder: "", turn: 0 };

interface Held {
  readonly holder: string;
  readonly version: number;
  readonly turn: number;
}

/**
 * Locks made of leases: a secret beside the entry that says who holds it and counts renewals.
 *
 * No clocks are compared. Who waits takes a lease over when he has seen for {@linkcode LEASE_MS}, by
 * his own clock, that it does not change. A released lease stays, empty, so that its versions go on:
 * a holder who slept through the loss of his finds no version of the same number.
 */
export class VaultLock {
  readonly #options: VaultLockOptions;
  /** The leases of this instance, by entry. */
  readonly #held = new Map<string, Held>();
  /** The holders of this instance whose leases could not be given back, by entry. */
  readonly #left = new Map<string, string>();

  constructor(options: VaultLockOptions) {
    this.#options = options;
  }

  /** Runs `fn` under the lock of the entry `name`. */
  async run<T>(name: string, fn: () => Promise<T>, options: WithLockOptions<T>): Promise<T> {
    const holder = crypto.randomUUID();
    const seen = await this.#acquire(name, holder, options);
    if (seen !== undefined) return seen;
    let renewal = Promise.resolve();
    const timer = setInterval(() => {
      renewal = renewal.then(() => this.#renew(name));
    }, RENEWAL_MS);
    try {
      return await fn();
    } finally {
      clearInterval(timer);
      await renewal; // one under way would put back the lease after its release
      await this.#release(name, holder);
    }
  }

  /**
   * Makes sure that the lock of this entry, if this instance holds it, was not taken over.
   *
   * @throws {CredentialsBackendError} `backend_locked`.
   */
  async check(name: string, action: string): Promise<void> {
    const held = this.#held.get(name);
    if (held === undefined) return;
    if (isHeldBy(held.holder, await this.#read(name, { action }))) return;
    throw vaultError(
      "backend_locked",
      action,
      this.#options.place,
      `the lock was lost while it was held, since this process stood still or did not reach Vault ` +
        `for over ${LEASE_MS / 1000} s`,
      "Try again.",
    );
  }

  /** Resolves with the lease, or with what `peek` saw instead. */
  async #acquire<T>(
    name: string,
    holder: string,
    { signal, peek }: WithLockOptions<T>,
  ): Promise<T | undefined> {
    const { runtime: { now, delay }, lockTimeoutMs } = this.#options;
    const deadline = now() + lockTimeoutMs;
    let watched = { lease: "", silentMs: 0, asked: now() };
    for (let tries = 0;; tries++) {
      signal?.throwIfAborted();
      const asked = now();
      const secret = await this.#read(name, { action: ACTION, signal });
      const lease = isHeldBy(this.#left.get(name), secret) ? "" : leaseOf(secret);
      const passed = asked - watched.asked;
      const isSilent = lease === watched.lease && passed < LONGEST_LOOK_MS;
      const silentMs = isSilent ? watched.silentMs + passed : 0;
      watched = { lease, silentMs, asked };
      if (lease === "" || silentMs >= LEASE_MS) {
        const held = await this.#take(name, holder, secret.version, asked, signal);
        if (held !== undefined) return await this.#begin(name, held, lease !== "");
      }
      if (now() >= deadline) throw this.#timedOut();
      await delay((0.5 + Math.random()) * Math.min(50 + 25 * tries, 500), signal);
      const seen = await peek?.();
      if (seen !== undefined) return seen;
    }
  }

  /** @param asked When the lock was looked at and found free. */
  async #take(
    name: string,
    holder: string,
    version: number,
    asked: number,
    signal: AbortSignal | undefined,
  ): Promise<Held | undefined> {
    const { kv, runtime: { now, delay } } = this.#options;
    const use = { action: ACTION, signal };
    try {
      const written = await kv.write(lockName(name), { holder, turn: 1 }, version, use);
      if (!kv.hasCheckAndSet) {
        if (now() - asked > SETTLE_MS) return undefined; // another one may have it already
        await delay(2 * SETTLE_MS, signal);
      } else if (written !== undefined) {
        return { holder, version: written, turn: 1 };
      }
      // Whose it is now. With check-and-set, too: the answer to our own write may have been lost.
      const secret = await this.#read(name, use);
      return isHeldBy(holder, secret) ? { holder, version: secret.version, turn: 1 } : undefined;
    } catch (error) {
      await this.#free(name, holder);
      throw error;
    }
  }

  async #begin(name: string, held: Held, isTakenOver: boolean): Promise<undefined> {
    this.#held.set(name, held);
    if (!isTakenOver) return;
    try {
      await this.#options.onTakeOver(name);
    } catch (error) {
      await this.#release(name, held.holder);
      throw error;
    }
  }

  async #renew(name: string): Promise<void> {
    const held = this.#held.get(name);
    if (held === undefined) return;
    const { kv } = this.#options;
    const use = { action: ACTION, timeoutMs: RENEWAL_MS };
    const { holder } = held;
    const turn = held.turn + 1;
    try {
      const isOurs = kv.hasCheckAndSet || isHeldBy(holder, await this.#read(name, use));
      if (!isOurs) return;
      const written = await kv.write(lockName(name), { holder, turn }, held.version, use);
      if (written !== undefined) {
        return void this.#held.set(name, { holder, turn, version: written });
      }
      const secret = await this.#read(name, use); // the answer to the last renewal may be lost
      if (isHeldBy(holder, secret)) this.#held.set(name, { ...held, version: secret.version });
    } catch {
      // A renewal that fails is found out by the check before the write that it protects.
    }
  }

  async #release(name: string, holder: string): Promise<void> {
    if (this.#held.get(name)?.holder === holder) this.#held.delete(name);
    await this.#free(name, holder);
  }

  /** Gives a lease back, if it is this holder's. */
  async #free(name: string, holder: string): Promise<void> {
    const use = { action: ACTION, timeoutMs: RELEASE_TIMEOUT_MS };
    try {
      let written: number | undefined;
      while (written === undefined) {
        const secret = await this.#read(name, use);
        if (!isHeldBy(holder, secret)) break;
        // Not the latest version any more: a renewal without an answer was done after all.
        written = await this.#options.kv.write(lockName(name), FREE, secret.version, use);
      }
      this.#left.delete(name);
    } catch {
      this.#left.set(name, holder); // out of reach: for others the lease ends by itself
    }
  }

  #read(name: string, use: VaultUse): Promise<VaultSecret> {
    return this.#options.kv.read(lockName(name), use);
  }

  #timedOut() {
    return vaultError(
      "backend_locked",
      ACTION,
      this.#options.place,
      `another notebook or script that shares these entries did not give the lock back within ` +
        `${this.#options.lockTimeoutMs} ms`,
      "Wait for it or end it.",
    );
  }
}

function isHeldBy(holder: string | undefined, { data }: VaultSecret): boolean {
  return holder !== undefined && data?.holder === holder;
}

/** What tells one state of a lease from the next; empty where nobody holds it. */
function leaseOf({ data }: VaultSecret): string {
  return typeof data?.holder === "string" && data.holder !== ""
    ? `${data.holder} ${data.turn}`
    : "";
}
