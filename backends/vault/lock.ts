import {
  LEASE_MS,
  type LeaseRow,
  Leases,
  type LeaseStore,
  type LeaseUse,
} from "../common/lease.ts";
import type { WithLockOptions } from "../oidc_credentials_backend.ts";
import type { VaultRuntime } from "./client.ts";
import { lockName, type VaultKv } from "./engine.ts";
import { vaultError } from "./error.ts";

/** Options of {@linkcode VaultLock}. */
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
  /** Time before the look that gave the row. */
  readonly asked: number;
}

/**
 * Without check-and-set: longer than a write may take from the look that found the lease free. A
 * holder that reads its own name after this time has the lease (Fischer's mutual exclusion).
 */
const SETTLE_MS = 500;
const ACTION = "lock credentials in";

/** The locks of entries in Vault. */
export class VaultLock {
  readonly #place: string;
  readonly #leases: Leases<VaultLease>;

  constructor({ kv, place, runtime, lockTimeoutMs, onTakeOver }: VaultLockOptions) {
    this.#place = place;
    this.#leases = new Leases({
      store: kv.hasCheckAndSet ? new VaultLeaseStore(kv, runtime) : new SettledStore(kv, runtime),
      clock: runtime,
      lockTimeoutMs,
      pause: (tries) => (0.5 + Math.random()) * Math.min(50 + 25 * tries, 500),
      timedOut: () =>
        vaultError(
          "backend_locked",
          ACTION,
          place,
          `another notebook or script that shares these entries did not give the lock back within ` +
            `${lockTimeoutMs} ms`,
          "Wait for it or end it.",
        ),
      onTakeOver,
    });
  }

  /** Runs `fn` under the lock of the entry `name`. */
  run<T>(name: string, fn: () => Promise<T>, options: WithLockOptions<T>): Promise<T> {
    return this.#leases.run(name, fn, options);
  }

  /**
   * Makes sure that nobody took over the lock of this entry, if this instance holds it.
   *
   * @throws {CredentialsBackendError} `backend_locked`.
   */
  async check(name: string, action: string): Promise<void> {
    if (!await this.#leases.isLost(name, { action })) return;
    throw vaultError(
      "backend_locked",
      action,
      this.#place,
      `the lock was lost while it was held, since this process stood still or did not reach Vault ` +
        `for over ${LEASE_MS / 1000} s`,
      "Try again.",
    );
  }
}

/**
 * The leases in a folder with check-and-set. A free lease stays as a secret with an empty holder:
 * deleting the secret would start its versions anew, and a suspended holder could match a later one.
 */
class VaultLeaseStore implements LeaseStore<VaultLease> {
  protected readonly kv: VaultKv;
  protected readonly runtime: VaultRuntime;

  constructor(kv: VaultKv, runtime: VaultRuntime) {
    this.kv = kv;
    this.runtime = runtime;
  }

  async read(name: string, use: LeaseUse): Promise<VaultLease> {
    const asked = this.runtime.now();
    const { data, version } = await this.kv.read(lockName(name), { action: ACTION, ...use });
    const holder = typeof data?.holder === "string" ? data.holder : "";
    const turn = Number(data?.turn ?? 0);
    return { holder, state: `${holder} ${turn}`, version, turn, asked };
  }

  async write(
    name: string,
    holder: string,
    row: VaultLease,
    use: LeaseUse,
  ): Promise<VaultLease | undefined> {
    const turn = holder === "" ? 0 : holder === row.holder ? row.turn + 1 : 1;
    const request = { action: ACTION, ...use };
    const version = await this.kv.write(lockName(name), { holder, turn }, row.version, request);
    if (version === undefined) return undefined;
    return { ...row, holder, state: `${holder} ${turn}`, version, turn };
  }
}

/** The leases in a folder without check-and-set. */
class SettledStore extends VaultLeaseStore {
  override async write(
    name: string,
    holder: string,
    row: VaultLease,
    use: LeaseUse,
  ): Promise<VaultLease | undefined> {
    const latest = await this.read(name, use);
    return latest.holder === row.holder ? await super.write(name, holder, latest, use) : undefined;
  }

  async take(
    name: string,
    holder: string,
    row: VaultLease,
    use: LeaseUse,
  ): Promise<VaultLease | undefined> {
    const { now, delay } = this.runtime;
    await super.write(name, holder, row, use);
    if (now() - row.asked > SETTLE_MS) return undefined; // another one may have it already
    await delay(2 * SETTLE_MS, use.signal);
    const latest = await this.read(name, use);
    return latest.holder === holder ? latest : undefined;
  }
}
