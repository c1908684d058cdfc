import {
  LEASE_MS,
  type LeaseRow,
  Leases,
  type LeaseStore,
  type LeaseUse,
} from "../common/lease.ts";
import type { CredentialsBackendError } from "../credentials_backend_error.ts";
import type { WithLockOptions } from "../oidc_credentials_backend.ts";
import type { VaultRuntime } from "./client.ts";
import { lockName, type VaultKv } from "./engine.ts";
import { vaultError } from "./error.ts";

export interface VaultLockOptions {
  readonly kv: VaultKv;
  /** The store in words. */
  readonly place: string;
  readonly runtime: VaultRuntime;
  readonly lockTimeoutMs: number;
  /** Runs after a takeover. A write of the former holder, which may still come, has to fail. */
  readonly onTakeOver: (name: string) => Promise<void>;
}

/** A lease in Vault: a secret beside the entry. */
interface VaultLease extends LeaseRow {
  readonly version: number;
  /** Counts the renewals. */
  readonly turn: number;
  /** Without check-and-set: the settling time of the last holder, in milliseconds. */
  readonly settleMs: number;
  /** Time before the look that gave the row, and after it. */
  readonly asked: number;
  readonly answered: number;
}

/** The shortest settling time, in milliseconds. See {@linkcode SettledStore}. */
const SETTLE_MS = 500;
/** The longest one. A Vault whose read and write take longer cannot be locked without check-and-set. */
const LONGEST_SETTLE_MS = 5_000;
const ACTION = "lock credentials in";

export class VaultLock {
  readonly #place: string;
  readonly #leases: Leases<VaultLease>;

  constructor({ kv, place, runtime, lockTimeoutMs, onTakeOver }: VaultLockOptions) {
    const store = kv.hasCheckAndSet
      ? new VaultLeaseStore(kv, runtime)
      : new SettledStore(kv, runtime);
    this.#place = place;
    this.#leases = new Leases({
      store,
      clock: runtime,
      lockTimeoutMs,
      pause: (tries) => (0.5 + Math.random()) * Math.min(50 + 25 * tries, 500),
      timedOut: () =>
        store.tooSlowMs === undefined
          ? heldTooLong(place, lockTimeoutMs)
          : tooSlow(place, store.tooSlowMs),
      onTakeOver,
    });
  }

  run<T>(name: string, fn: () => Promise<T>, options: WithLockOptions<T>): Promise<T> {
    return this.#leases.run(name, fn, options);
  }

  /**
   * Makes sure that nobody took over the lock of this entry, if this instance holds it.
   *
   * @throws {CredentialsBackendError} `backend_locked`.
   */
  async check(name: string, action: string): Promise<void> {
    if (await this.#leases.isLost(name, { action })) throw this.#lost(action);
  }

  /**
   * Announces a refresh under the lock of this entry, if this instance holds it. Nobody takes the lock
   * over while the refresh may be in flight.
   *
   * @throws {CredentialsBackendError} `backend_locked`.
   */
  async announce(name: string, action: string): Promise<void> {
    if (!await this.#leases.announce(name, { action })) throw this.#lost(action);
  }

  #lost(action: string): CredentialsBackendError {
    return vaultError(
      "backend_locked",
      action,
      this.#place,
      `the lock was lost while it was held, since this process stood still or did not reach Vault ` +
        `for over ${LEASE_MS / 1000} s`,
      "Try again.",
    );
  }
}

function heldTooLong(place: string, ms: number): CredentialsBackendError {
  return vaultError(
    "backend_locked",
    ACTION,
    place,
    `another notebook or script that shares these entries did not give the lock back within ${ms} ms`,
    "Wait for it or end it.",
  );
}

function tooSlow(place: string, ms: number): CredentialsBackendError {
  return vaultError(
    "backend_timeout",
    ACTION,
    place,
    `a read and a write took ${Math.round(ms)} ms, and KV version 1 can be locked only where ` +
      `they take less than ${LONGEST_SETTLE_MS} ms and about as long each time`,
    "Use KV version 2, or a Vault that is nearer.",
  );
}

/**
 * The leases in a folder with check-and-set. A free lease stays as a secret with an empty holder:
 * deleting the secret would start its versions anew, and a suspended holder could match a later one.
 */
class VaultLeaseStore implements LeaseStore<VaultLease> {
  /** The time of a read and a write after which the lease could not be taken. */
  tooSlowMs: number | undefined;
  protected readonly kv: VaultKv;
  protected readonly runtime: VaultRuntime;

  constructor(kv: VaultKv, runtime: VaultRuntime) {
    this.kv = kv;
    this.runtime = runtime;
  }

  async read(name: string, use: LeaseUse): Promise<VaultLease> {
    const { now } = this.runtime;
    const asked = now();
    const { data, version } = await this.kv.read(lockName(name), { action: ACTION, ...use });
    const holder = typeof data?.holder === "string" ? data.holder : "";
    const turn = Number(data?.turn ?? 0);
    const settleMs = Number(data?.settle_ms ?? 0) || 0;
    const isAnnounced = data?.announced === true;
    const state = `${holder} ${turn}`;
    return { holder, state, isAnnounced, version, turn, settleMs, asked, answered: now() };
  }

  async write(
    name: string,
    holder: string,
    row: VaultLease,
    use: LeaseUse,
  ): Promise<VaultLease | undefined> {
    const turn = holder === "" ? 0 : holder === row.holder ? row.turn + 1 : 1;
    const { settleMs } = row;
    const isAnnounced = row.isAnnounced && holder === row.holder;
    const data = {
      holder,
      turn,
      ...(settleMs > 0 && { settle_ms: settleMs }),
      ...(isAnnounced && { announced: true }),
    };
    const version = await this.kv.write(lockName(name), data, row.version, {
      action: ACTION,
      ...use,
    });
    if (version === undefined) return undefined;
    return { ...row, holder, state: `${holder} ${turn}`, isAnnounced, version, turn };
  }
}

/**
 * The leases in a folder without check-and-set, by Fischer's mutual exclusion: a holder writes its
 * name where the lease was free, waits until every other write that saw it free has arrived, and has
 * the lease if it then reads its own name.
 *
 * The wait is twice the settling time, and a write that arrives later than the settling time after its
 * look does not count. The settling time follows the measured round trip. It is kept in the row, so
 * that a near host waits for a distant one that takes part as well.
 */
class SettledStore extends VaultLeaseStore {
  /** The time of the last look with its write, in milliseconds. */
  #tookMs = 0;

  override async write(
    name: string,
    holder: string,
    row: VaultLease,
    use: LeaseUse,
  ): Promise<VaultLease | undefined> {
    const latest = await this.read(name, use);
    if (latest.holder !== row.holder) return undefined;
    return await super.write(name, holder, { ...latest, isAnnounced: row.isAnnounced }, use);
  }

  async take(
    name: string,
    holder: string,
    row: VaultLease,
    use: LeaseUse,
  ): Promise<VaultLease | undefined> {
    const { now, delay } = this.runtime;
    const settleMs = this.#settleMs(row);
    const own = { ...row, settleMs };
    await super.write(name, holder, own, use);
    this.#tookMs = now() - row.asked;
    if (this.#tookMs > settleMs) { // another one may have it already
      this.tooSlowMs = this.#tookMs;
      await this.write(name, "", { ...own, holder }, use);
      return undefined;
    }
    this.tooSlowMs = undefined;
    await delay(2 * settleMs, use.signal);
    const latest = await this.read(name, use);
    return latest.holder === holder ? latest : undefined;
  }

  #settleMs({ asked, answered, settleMs }: VaultLease): number {
    // With room for a write that takes longer than the look. That of others goes down with time.
    const needed = Math.max(3 * (answered - asked), 1.5 * this.#tookMs, 0.9 * settleMs);
    return Math.round(Math.min(Math.max(needed, SETTLE_MS), LONGEST_SETTLE_MS));
  }
}
