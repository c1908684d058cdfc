import type { Timer } from "../common/promises.ts";
import { LEASE_MS, type LeaseRow, Leases, type LeaseStore } from "../common/lease.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import type { WithLockOptions } from "../oidc_credentials_backend.ts";
import { lockName, type VaultKv } from "./engine.ts";

export interface VaultLockOptions {
  readonly kv: VaultKv;
  /** The store in words. */
  readonly place: string;
  readonly timer: Timer;
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

/** The shortest settling time, in milliseconds. See {@linkcode settledStore}. */
const SETTLE_MS = 500;
/** The longest one. A Vault whose read and write take longer cannot be locked without check-and-set. */
const LONGEST_SETTLE_MS = 5_000;
const ACTION = "lock credentials in";

export type VaultLock = ReturnType<typeof vaultLock>;

export function vaultLock({ kv, place, timer, lockTimeoutMs, onTakeOver }: VaultLockOptions) {
  const store = kv.hasCheckAndSet ? leaseStore(kv, timer) : settledStore(kv, timer);
  const leases = new Leases({
    store,
    timer,
    lockTimeoutMs,
    pause: (tries) => (0.5 + Math.random()) * Math.min(50 + 25 * tries, 500),
    timedOut: () => {
      if (store.tooSlowMs === undefined) {
        return new CredentialsBackendError(
          "backend_locked",
          `Cannot ${ACTION} ${place}: another notebook or script that shares these entries did not ` +
            `give the lock back within ${lockTimeoutMs} ms. Wait for it or end it.`,
        );
      }
      return new CredentialsBackendError(
        "backend_timeout",
        `Cannot ${ACTION} ${place}: a read and a write took ${
          Math.round(store.tooSlowMs)
        } ms, and ` +
          `KV version 1 can be locked only where they take less than ${LONGEST_SETTLE_MS} ms and ` +
          `about as long each time. Use KV version 2, or a Vault that is nearer.`,
      );
    },
    onTakeOver,
  });
  const lost = (action: string) =>
    new CredentialsBackendError(
      "backend_locked",
      `Cannot ${action} ${place}: the lock was lost while it was held, since this process stood ` +
        `still or did not reach Vault for over ${LEASE_MS / 1000} s. Try again.`,
    );
  return {
    run: <T>(name: string, fn: () => Promise<T>, options: WithLockOptions<T>): Promise<T> =>
      leases.run(name, fn, options),
    /** Makes sure that nobody took over the lock of this entry, if this instance holds it. */
    async check(name: string, action: string): Promise<void> {
      if (await leases.isLost(name, { action })) throw lost(action);
    },
    /**
     * Announces a refresh under the lock of this entry, if this instance holds it. Nobody takes the
     * lock over while the refresh may be in flight.
     */
    async announce(name: string, action: string): Promise<void> {
      if (!await leases.announce(name, { action })) throw lost(action);
    },
  };
}

interface VaultLeaseStore extends LeaseStore<VaultLease> {
  /** The time of a read and a write after which the lease could not be taken. */
  tooSlowMs?: number | undefined;
}

/**
 * The leases in a folder with check-and-set. A free lease stays as a secret with an empty holder:
 * deleting the secret would start its versions anew, and a suspended holder could match a later one.
 */
function leaseStore(kv: VaultKv, { now }: Timer): VaultLeaseStore {
  return {
    async read(name, use) {
      const asked = now();
      const { data, version } = await kv.read(lockName(name), { action: ACTION, ...use });
      const holder = typeof data?.holder === "string" ? data.holder : "";
      const turn = Number(data?.turn ?? 0);
      const settleMs = Number(data?.settle_ms ?? 0) || 0;
      const isAnnounced = data?.announced === true;
      const state = `${holder} ${turn}`;
      return { holder, state, isAnnounced, version, turn, settleMs, asked, answered: now() };
    },
    async write(name, holder, row, use) {
      const turn = holder === "" ? 0 : holder === row.holder ? row.turn + 1 : 1;
      const isAnnounced = row.isAnnounced && holder === row.holder;
      const data = {
        holder,
        turn,
        ...(row.settleMs > 0 && { settle_ms: row.settleMs }),
        ...(isAnnounced && { announced: true }),
      };
      const options = { action: ACTION, ...use };
      const version = await kv.write(lockName(name), data, row.version, options);
      if (version === undefined) return undefined;
      return { ...row, holder, state: `${holder} ${turn}`, isAnnounced, version, turn };
    },
  };
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
function settledStore(kv: VaultKv, timer: Timer): VaultLeaseStore {
  const { now, delay } = timer;
  const rows = leaseStore(kv, timer);
  let tookMs = 0; // of the last look with its write
  const store: VaultLeaseStore = {
    read: rows.read,
    async write(name, holder, row, use) {
      const latest = await rows.read(name, use);
      if (latest.holder !== row.holder) return undefined;
      return await rows.write(name, holder, { ...latest, isAnnounced: row.isAnnounced }, use);
    },
    async take(name, holder, row, use) {
      const settleMs = settlingTime(row, tookMs);
      const own = { ...row, settleMs };
      await rows.write(name, holder, own, use);
      tookMs = now() - row.asked;
      const isSlow = tookMs > settleMs;
      store.tooSlowMs = isSlow ? tookMs : undefined;
      if (isSlow) { // another one may have it already
        await store.write(name, "", { ...own, holder }, use);
        return undefined;
      }
      await delay(2 * settleMs, use.signal);
      const latest = await rows.read(name, use);
      return latest.holder === holder ? latest : undefined;
    },
  };
  return store;
}

/** With room for a write that takes longer than the look. That of others goes down with time. */
function settlingTime({ asked, answered, settleMs }: VaultLease, tookMs: number): number {
  const needed = Math.max(3 * (answered - asked), 1.5 * tookMs, 0.9 * settleMs);
  return Math.round(Math.min(Math.max(needed, SETTLE_MS), LONGEST_SETTLE_MS));
}
