import type { Clock } from "../common/clock.ts";
import { type LeaseRow, Leases, type LeaseStore, type LeaseUse } from "../common/lease.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";

/** A lease in Deno KV. */
export interface KvLease extends LeaseRow {
  /** `null` where there is no row. */
  readonly versionstamp: string | null;
}

/** Runs an operation of Deno KV within a time limit. */
export type RunKv = <T>(
  action: string,
  operation: () => Promise<T>,
  timeoutMs?: number,
) => Promise<T>;

/** Options of {@linkcode kvLeases}. */
export interface KvLeasesOptions {
  kv: Deno.Kv;
  /** The server's address, for messages. */
  path: string;
  run: RunKv;
  clock: Clock;
  lockTimeoutMs: number;
}

/** Longest pause between two looks at a lease that is held: all waiters ask the same server. */
const PAUSE_MS = 200;

/** The locks of a store on a server. */
export function kvLeases(options: KvLeasesOptions): Leases<KvLease> {
  const { kv, path, run, clock, lockTimeoutMs } = options;
  return new Leases({
    store: new KvLeaseStore(kv, run),
    clock,
    lockTimeoutMs,
    pause: (tries) => (1 + Math.random()) * Math.min(5 + tries, PAUSE_MS),
    timedOut: () =>
      new CredentialsBackendError(
        "backend_locked",
        `Cannot lock credentials in ${path} within ${lockTimeoutMs} ms: another notebook or script ` +
          `that shares this store is refreshing them. Wait for it or end it.`,
      ),
  });
}

/** The place of a key's lease. */
export const leaseKey = (key: string): Deno.KvKey => ["validmind", "oidc_lease", key];

/**
 * The leases in a Deno KV store. Releasing deletes the row: versionstamps count the commits of the
 * whole store, so none comes back. Rows do not use `expireIn`, which Deno computes from the holder's
 * clock.
 */
class KvLeaseStore implements LeaseStore<KvLease> {
  readonly #kv: Deno.Kv;
  readonly #run: RunKv;

  constructor(kv: Deno.Kv, run: RunKv) {
    this.#kv = kv;
    this.#run = run;
  }

  async read(key: string, { timeoutMs }: LeaseUse): Promise<KvLease> {
    const get = () => this.#kv.get<{ holder: string; isAnnounced?: boolean }>(leaseKey(key));
    const { value, versionstamp } = await this.#run("lock", get, timeoutMs);
    const { holder = "", isAnnounced = false } = value ?? {};
    return { holder, isAnnounced, state: versionstamp ?? "", versionstamp };
  }

  async write(
    key: string,
    holder: string,
    row: KvLease,
    { timeoutMs }: LeaseUse,
  ): Promise<KvLease | undefined> {
    const { versionstamp } = row;
    const isAnnounced = row.isAnnounced && holder === row.holder;
    const commit = () => {
      const atomic = this.#kv.atomic().check({ key: leaseKey(key), versionstamp });
      if (holder === "") atomic.delete(leaseKey(key));
      else atomic.set(leaseKey(key), { holder, ...(isAnnounced && { isAnnounced }) });
      return atomic.commit();
    };
    const result = await this.#run(holder === "" ? "unlock" : "lock", commit, timeoutMs);
    if (!result.ok) return undefined;
    return { holder, isAnnounced, state: result.versionstamp, versionstamp: result.versionstamp };
  }
}
