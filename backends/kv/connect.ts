import { type Timer, untilAborted } from "../common/promises.ts";
import { folderOf, netHost } from "../common/platform.ts";
import { type LeaseRow, Leases, type LeaseStore } from "../common/lease.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { assertOwn, assertRegular, lookIfPresent, refusal } from "../file/file_access.ts";

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

const ACTION = "use the Deno KV file";
/** The endings of the files that SQLite makes beside a database. They hold entries, too. */
const SIDES = ["-journal", "-wal", "-shm"];
/** More than SQLite needs at once to open a database, or to write an entry of some size. */
const PROBE_BYTES = 64 * 1024;

/**
 * The files of a database that SQLite opens by their names. Each has to be a regular file of this
 * process's user that nobody else can read: the owner of a `-wal` file can read the tokens that are
 * written into it, and plant other ones.
 *
 * No existing file is opened here. SQLite's locks belong to the process, and the kernel drops them
 * when any descriptor of the file is closed.
 */
export class DatabaseFile {
  /** The database itself, also where the given path is a link to it. */
  readonly path: string;
  readonly #isLinked: boolean;

  /**
   * Makes the database file, 0600, where there is none: SQLite gives its other files the same mode. The
   * folder has to be there.
   */
  constructor(path: string) {
    const found = lookIfPresent(path);
    this.#isLinked = found?.isSymlink ?? false;
    this.path = this.#isLinked ? Deno.realPathSync(path) : path;
    const isNew = found === undefined && create(path);
    const mode = this.#close("");
    assertClosedFolder(this.path);
    if (mode !== undefined && !isNew) tell(this.path, mode);
    // Made here, so that nobody can plant them. SQLite removes them from beside an empty database.
    if (!isNew) { for (const side of ["-wal", "-shm"]) create(`${this.path}${side}`); }
    for (const side of SIDES) this.#close(side);
  }

  /** Closes the files to others, and refuses those that are not safe. */
  secure(): void {
    for (const side of ["", ...SIDES]) this.#close(side);
  }

  /** Makes one of the files 0600. Gives its mode where that was another. */
  #close(side: string): number | undefined {
    const path = `${this.path}${side}`;
    const info = lookIfPresent(path);
    if (info === undefined) return undefined;
    assertRegular(ACTION, path, info);
    assertOwn(ACTION, path, info);
    const mode = Deno.build.os === "windows" ? 0 : (info.mode ?? 0) & 0o777;
    if ((mode & 0o077) === 0) return undefined;
    if (this.#isLinked) {
      const reason = `others can read it (mode ${mode.toString(8)}), and a link leads to it`;
      throw refusal(ACTION, path, reason);
    }
    Deno.chmodSync(path, 0o600);
    return mode;
  }
}

/**
 * Writes a file beside the database, and removes it. SQLite says little about the cause of a failure;
 * this write throws the operating system's own error.
 */
export function probeFolder(path: string): void {
  const probe = `${path}.${crypto.randomUUID()}.probe`;
  try {
    Deno.writeFileSync(probe, new Uint8Array(PROBE_BYTES), { createNew: true, mode: 0o600 });
  } finally {
    if (lookIfPresent(probe) !== undefined) Deno.removeSync(probe);
  }
}

/**
 * Refuses a folder in which others can exchange the files: SQLite opens them by their names, and nothing
 * tells which ones it has opened.
 */
function assertClosedFolder(path: string): void {
  const folder = folderOf(path);
  const { mode, uid } = Deno.statSync(folder);
  if (mode === null || uid === null) return; // Windows
  const isOfOthers = uid !== 0 && uid !== Deno.lstatSync(path).uid;
  if (!isOfOthers && (mode & 0o022) === 0) return;
  const reason = isOfOthers
    ? `its folder belongs to another user (uid ${uid})`
    : `others can write its folder (mode ${(mode & 0o7777).toString(8)})`;
  throw new CredentialsBackendError(
    "backend_denied",
    `Cannot ${ACTION} ${path}: ${reason}. Use a folder that only you can write.`,
  );
}

/** Makes a file where there is none. Gives whether it did. */
function create(path: string): boolean {
  try {
    Deno.openSync(path, { write: true, createNew: true, mode: 0o600 }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw error;
  }
}

function tell(path: string, mode: number): void {
  const text = `@validmind/auth: ${path} could be read by others on this host (mode ` +
    `${mode.toString(8)}); it is now closed to them. If others use this host, sign in again.\n`;
  try {
    Deno.stderr.writeSync(new TextEncoder().encode(text));
  } catch {
    // The mode is changed. A closed standard error is no reason to fail.
  }
}
