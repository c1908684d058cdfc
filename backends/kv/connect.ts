import { CredentialsBackendError } from "../credentials_backend_error.ts";
import type { Timer } from "../common/clock.ts";
import { untilAborted } from "../common/delay.ts";
import { netHost } from "../common/hosts.ts";
import { type LeaseRow, Leases, type LeaseStore } from "../common/lease.ts";

const TOKEN = "DENO_KV_ACCESS_TOKEN";
/** After this time without an answer the server is asked for its metadata first, in milliseconds. */
const FRESH_MS = 1000;
/** Time for which a server that never answered is asked again: about as long as a restart. */
const PATIENCE_MS = 1500;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1000;

/** Runs an operation of Deno KV within a time limit. */
export type Perform = <T>(operation: () => Promise<T>, timeoutMs?: number) => Promise<T>;

/**
 * Access to a KV Connect server within a time limit.
 *
 * Deno repeats an operation for ever where a server does not answer, reports each try on standard
 * error, and keeps the process alive. Neither a signal nor `Kv.close` ends that. So the server is first
 * asked for its metadata, by a request that can be ended.
 */
export function serverPerformer(url: string, timeoutMs: number, timer: Timer): Perform {
  let hasAnswered = false;
  /** The end of {@linkcode FRESH_MS} after the last answer. */
  let freshUntil = -Infinity;
  return async (operation, limitMs = Infinity) => {
    const ms = Math.min(limitMs, timeoutMs);
    const abort = new AbortController();
    const reason = new DOMException(`no answer within ${ms} ms`, "TimeoutError");
    const limit = setTimeout(() => abort.abort(reason), ms);
    try {
      if (timer.now() >= freshUntil) {
        // A server that has answered before may be restarting: it is asked until the time limit.
        const patience = hasAnswered ? Infinity : timer.now() + PATIENCE_MS;
        await untilItAnswers(url, timer, patience, abort.signal);
      }
      freshUntil = -Infinity;
      const result = await untilAborted(operation(), abort.signal);
      hasAnswered = true;
      freshUntil = timer.now() + FRESH_MS;
      return result;
    } finally {
      clearTimeout(limit);
    }
  };
}

async function untilItAnswers(
  url: string,
  timer: Timer,
  patience: number,
  signal: AbortSignal,
): Promise<void> {
  for (let pause = FIRST_PAUSE_MS;; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
    try {
      return await ask(url, signal);
    } catch (error) {
      const isFinal = error instanceof CredentialsBackendError ||
        error instanceof Deno.errors.NotCapable;
      if (isFinal || signal.aborted || timer.now() >= patience) throw error;
      // The server's own error says more than the end of the time.
      await timer.delay(pause, signal).catch(() => Promise.reject(error));
    }
  }
}

async function ask(url: string, signal: AbortSignal): Promise<void> {
  const token = Deno.env.get(TOKEN) ?? "";
  if (token === "") throw authFailed(url, "is not set");
  if (!/^[\x21-\x7e]+$/.test(token)) throw authFailed(url, "has characters that no token has");
  const response = await fetch(url, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ supportedVersions: [1, 2, 3] }),
    redirect: "manual",
    signal,
  });
  await response.body?.cancel();
  if (response.status === 401) throw authFailed(url, "is refused");
  if (response.status === 403) throw authFailed(url, "does not allow it", "backend_denied");
  if (response.status >= 500) throw new Error(`status ${response.status}`);
}

function authFailed(
  url: string,
  why: string,
  code: "backend_auth_failed" | "backend_denied" = "backend_auth_failed",
): CredentialsBackendError {
  return new CredentialsBackendError(
    code,
    `Cannot use Deno KV at ${
      netHost(new URL(url))
    }: ${TOKEN} ${why}. Set it to an access token of ` +
      `the server.`,
  );
}

export interface KvLease extends LeaseRow {
  /** `null` where there is no row. */
  readonly versionstamp: string | null;
}

/** The same, with the action for the message of an error. */
export type RunKv = <T>(
  action: string,
  operation: () => Promise<T>,
  timeoutMs?: number,
) => Promise<T>;

export interface KvLeasesOptions {
  kv: Deno.Kv;
  path: string;
  run: RunKv;
  timer: Timer;
  lockTimeoutMs: number;
}

/** Longest pause between two looks at a lease that is held: all waiters ask the same server. */
const PAUSE_MS = 200;

export function kvLeases(options: KvLeasesOptions): Leases<KvLease> {
  const { kv, path, run, timer, lockTimeoutMs } = options;
  return new Leases({
    store: kvLeaseStore(kv, run),
    timer,
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

export const leaseKey = (key: string): Deno.KvKey => ["validmind", "oidc_lease", key];

/**
 * The leases in a Deno KV store. Releasing deletes the row: versionstamps count the commits of the
 * whole store, so none comes back. Rows do not use `expireIn`, which Deno computes from the holder's
 * clock.
 */
function kvLeaseStore(kv: Deno.Kv, run: RunKv): LeaseStore<KvLease> {
  return {
    async read(key, { timeoutMs }) {
      const get = () => kv.get<{ holder: string; isAnnounced?: boolean }>(leaseKey(key));
      const { value, versionstamp } = await run("lock", get, timeoutMs);
      const { holder = "", isAnnounced = false } = value ?? {};
      return { holder, isAnnounced, state: versionstamp ?? "", versionstamp };
    },
    async write(key, holder, row, { timeoutMs }) {
      const isAnnounced = row.isAnnounced && holder === row.holder;
      const commit = () => {
        const atomic = kv.atomic().check({ key: leaseKey(key), versionstamp: row.versionstamp });
        if (holder === "") atomic.delete(leaseKey(key));
        else atomic.set(leaseKey(key), { holder, ...(isAnnounced && { isAnnounced }) });
        return atomic.commit();
      };
      const result = await run(holder === "" ? "unlock" : "lock", commit, timeoutMs);
      if (!result.ok) return undefined;
      const { versionstamp } = result;
      return { holder, isAnnounced, state: versionstamp, versionstamp };
    },
  };
}
