import type { LeaseRow, LeaseStore, LeaseUse } from "../common/lease.ts";

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

/** The place of a key's lease. */
export const leaseKey = (key: string): Deno.KvKey => ["validmind", "oidc_lease", key];

/**
 * The leases in a Deno KV store. Releasing deletes the row: versionstamps count the commits of the
 * whole store, so none comes back. Rows do not use `expireIn`, which Deno computes from the holder's
 * clock.
 */
export class KvLeaseStore implements LeaseStore<KvLease> {
  readonly #kv: Deno.Kv;
  readonly #run: RunKv;

  constructor(kv: Deno.Kv, run: RunKv) {
    this.#kv = kv;
    this.#run = run;
  }

  async read(key: string, { timeoutMs }: LeaseUse): Promise<KvLease> {
    const get = () => this.#kv.get<{ holder: string }>(leaseKey(key));
    const { value, versionstamp } = await this.#run("lock", get, timeoutMs);
    return { holder: value?.holder ?? "", state: versionstamp ?? "", versionstamp };
  }

  async write(
    key: string,
    holder: string,
    { versionstamp }: KvLease,
    { timeoutMs }: LeaseUse,
  ): Promise<KvLease | undefined> {
    const commit = () => {
      const atomic = this.#kv.atomic().check({ key: leaseKey(key), versionstamp });
      if (holder === "") atomic.delete(leaseKey(key));
      else atomic.set(leaseKey(key), { holder });
      return atomic.commit();
    };
    const result = await this.#run(holder === "" ? "unlock" : "lock", commit, timeoutMs);
    if (!result.ok) return undefined;
    return { holder, state: result.versionstamp, versionstamp: result.versionstamp };
  }
}
