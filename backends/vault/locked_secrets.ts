import { Queue, type Timer } from "../common/promises.ts";
import { repeat } from "../common/repeat.ts";
import { corruptEntry, CredentialsBackendError } from "../credentials_backend_error.ts";
import type { WithLockOptions } from "../oidc_credentials_backend.ts";

/** The fields of a secret: its entry, and the holder of its lock. */
export interface Fields {
  readonly key: string;
  /** The entry as JSON; empty where there is none. */
  readonly text: string;
  /** The id of the lock's holder; empty where nobody holds it. */
  readonly holder: string;
}

/** One secret of the store. */
export interface Row extends Fields {
  /** The version of the engine; 0 where nothing was ever written. */
  readonly version: number;
  /** Whether another program wrote it. */
  readonly isForeign?: boolean;
}

/** What a request is for. */
export interface SecretUse {
  /** As in "Cannot {action} …". */
  readonly action: string;
  readonly signal?: AbortSignal;
}

/** The requests of the engine. */
export interface SecretEngine {
  /** The secret as some node knows it, which may be an old one. */
  read(name: string, key: string, use: SecretUse): Promise<Row>;
  /**
   * Writes a secret where `version` is its latest, or over any version. Success alone proves anything: a
   * refusal, `undefined`, may come from a node that is late.
   */
  write(
    name: string,
    row: Fields,
    version: number | undefined,
    use: SecretUse,
  ): Promise<Row | undefined>;
}

/** Refuses a secret of another program. */
function assertOwn(name: string, { isForeign = false }: Row, action: string) {
  if (isForeign) {
    throw corruptEntry(action, `the secret ${name} there was not written by this module`);
  }
}

interface LockedSecretsOptions {
  readonly engine: SecretEngine;
  /** The store in words. */
  readonly place: () => string;
  readonly timer: Timer;
  readonly lockTimeoutMs: number;
}

/** A holder writes its secret anew at this interval, in milliseconds. */
const SIGN_MS = 2_000;
/** A lock without a sign of its holder for this time is taken over, in milliseconds. */
const SILENT_MS = 23_000;
/** The default of a wait, in milliseconds: longer than the silence of a holder that was killed. */
export const LOCK_TIMEOUT_MS = 40_000;
/**
 * The most that the time between two looks counts. While the waiter stands still, or does not reach the
 * store, its holder may do so, too.
 */
const LONGEST_GAP_MS = 5_000;
/** An older write proves nothing about the lock, by either clock: this process may have stood still. */
const PROOF_MS = 10_000;
/** So long what this process has written counts for more than an older version that it reads. */
const OWN_MS = 60_000;
const LOCK = "lock credentials in";
/** The repetitions of one change, beside their time. */
const PAUSE_MS = 20;
const CHANGE_MS = 15_000;

/** A store that is down must not hold up the end of the holder's function. */
function briefly(): SecretUse {
  return { action: LOCK, signal: AbortSignal.timeout(5_000) };
}

/** A lock that this process holds. */
interface Held {
  row: Row;
  /** Whether another holder or a sign-out has come in between. */
  isLost: boolean;
  /** The last request, which the next one waits for. */
  turn: Promise<unknown>;
}

function heldOf(row: Row): Held {
  return { row, isLost: false, turn: Promise.resolve() };
}

/**
 * Secrets that are their own locks, in an engine whose nodes may answer reads late. The lock is a field of
 * the entry's secret, so that taking it proves the entry in the same request. A check-and-set that succeeds
 * is the only proof: a read and a refusal may come from a node that is behind.
 *
 * No clocks are compared: a waiter takes over a lock whose secret has not changed for {@linkcode SILENT_MS}
 * by the waiter's own monotonic clock.
 */
export class LockedSecrets {
  readonly #options: LockedSecretsOptions;
  readonly #queue: Queue;
  /** One holder for all uses of this object, which wait for each other in the queue. */
  readonly #id = crypto.randomUUID();
  readonly #held = new Map<string, Held>();
  /** The last own write of each secret, with both clocks before it was sent. */
  readonly #own = new Map<string, { row: Row; at: number; wall: number }>();
  /** What was seen of locks of others. A later wait goes on from there. */
  readonly #sightings = new Map<string, { version: number; at: number; silentMs: number }>();

  constructor(options: LockedSecretsOptions) {
    this.#options = options;
    this.#queue = new Queue(options.lockTimeoutMs);
  }

  /** Runs `fn` under the lock of a secret, or gives the value of `peek`. */
  async run<T>(
    name: string,
    key: string,
    fn: () => Promise<T>,
    options: WithLockOptions<T>,
  ) {
    return await this.#queue.run(name, async () => {
      const seen = await this.#take(name, key, options);
      return seen === undefined ? await this.#hold(name, fn) : seen;
    }, options.signal);
  }

  /** The secret; under the lock as it is proven to be, with a write where the last one is too old. */
  async row(name: string, key: string, use: SecretUse): Promise<Row> {
    const held = this.#held.get(name);
    if (held && !held.isLost) {
      return await this.#inTurn(held, () => this.#prove(name, held, use));
    }
    const row = await this.#look(name, key, use);
    assertOwn(name, row, `${use.action} ${this.#options.place()}`);
    return row;
  }

  /** Replaces the entry where `isReplaced` agrees. Gives whether it is stored. */
  async replace(
    name: string,
    { key, text }: Pick<Row, "key" | "text">,
    isReplaced: ((row: Row) => boolean) | undefined,
    use: SecretUse,
  ) {
    const held = this.#held.get(name);
    return await this.#inTurn(held, async () => {
      const isOurs = held !== undefined && !held.isLost;
      const known = isOurs ? held : heldOf(await this.#look(name, key, use));
      let isTried = false;
      /** Whether it is stored; `undefined` where it is to be written. */
      const outcome = () => {
        if (isTried && known.row.text === text) return true; // the answer to the write was lost
        if (held?.isLost && !isReplaced) throw this.#lockLost(use);
        if (isReplaced?.(known.row) === false) return false;
        return undefined;
      };
      return await this.#repeat(use, async () => {
        const early = outcome();
        if (early !== undefined) return early;
        isTried = true;
        return await this.#rewrite(name, known, { key, text }, use) || outcome();
      });
    });
  }

  #lockLost({ action }: SecretUse) {
    return this.#locked(
      `${action} ${this.#options.place()}`,
      "the lock was lost: somebody signed out meanwhile, or this process did not reach the store for " +
        `over ${SILENT_MS / 1000} s`,
      "Try again.",
    );
  }

  /** Writes an empty entry over whatever is there, which ends its lock. Gives the new version. */
  async empty(name: string, key: string, use: SecretUse) {
    const empty = { key, text: "", holder: "" };
    const held = this.#held.get(name);
    const write = async () => {
      const row = await this.#repeat(use, async () => {
        const written = await this.#write(name, empty, undefined, use);
        if (written) return written;
        const { version } = await this.#look(name, key, use); // the engine may demand one
        return await this.#write(name, empty, version, use);
      });
      if (held) held.isLost = true; // also where its own function signs out
      return row.version;
    };
    return await this.#inTurn(held, write);
  }

  async #take<T>(
    name: string,
    key: string,
    { signal, peek }: WithLockOptions<T>,
  ) {
    const { place, timer, lockTimeoutMs } = this.#options;
    const use = { action: LOCK, signal };
    const over = () =>
      this.#locked(
        `${LOCK} ${place()} within ${lockTimeoutMs} ms`,
        "another notebook or script that shares this store holds the lock",
        `Wait for it or end it. The lock is free ${SILENT_MS / 1000} s later.`,
      );
    const limits = { pauseMs: PAUSE_MS, withinMs: lockTimeoutMs, timer, signal, over };
    let newest: Row | undefined;
    const { done } = await repeat(limits, async () => {
      const done = newest && await peek?.();
      if (done !== undefined) return { done };
      const row = await this.#look(name, key, use);
      // A later look may be answered by a node that is further behind.
      if (!newest || row.version > newest.version) newest = row;
      assertOwn(name, newest, `${LOCK} ${place()}`);
      // Its own is left of a release that did not reach the store.
      const isFree = newest.holder === "" || newest.holder === this.#id;
      if (!isFree && this.#noteSilence(name, newest) < SILENT_MS) return undefined;
      const mine = { ...newest, holder: this.#id };
      const written = await this.#write(name, mine, newest.version, use).catch(async (error) => {
        await this.#release(name, heldOf(mine)); // it may have been done without an answer
        throw error;
      });
      if (!written) return undefined;
      this.#held.set(name, heldOf(written));
      this.#sightings.delete(name);
      return { done };
    });
    return done;
  }

  /** Notes that another holder's secret was seen. Gives for how long it has not changed, in milliseconds. */
  #noteSilence(name: string, { version }: Row) {
    const now = this.#options.timer.now();
    const before = this.#sightings.get(name);
    let silentMs = 0;
    if (before?.version === version) {
      silentMs = before.silentMs + Math.min(now - before.at, LONGEST_GAP_MS);
    }
    this.#sightings.set(name, { version, at: now, silentMs });
    return silentMs;
  }

  async #hold<T>(name: string, fn: () => Promise<T>) {
    const held = this.#held.get(name)!;
    const signs = setInterval(() => void this.#showLife(name, held), SIGN_MS);
    try {
      return await fn();
    } finally {
      clearInterval(signs);
      await held.turn; // after the release it would take the lock again
      this.#held.delete(name);
      await this.#release(name, held);
    }
  }

  async #showLife(name: string, held: Held) {
    if (held.isLost) return;
    // The next sign tries again. A write that needs the lock notices that it is lost.
    await this.#inTurn(held, () => this.#rewrite(name, held, {}, briefly())).catch(() => undefined);
  }

  /** Changes a row that is known. Where that is refused, learns the newer row, if the node knows it. */
  async #rewrite(
    name: string,
    known: Held,
    change: Partial<Row>,
    use: SecretUse,
  ) {
    const { row } = known;
    const written = await this.#write(name, { ...row, ...change }, row.version, use);
    const latest = written ?? await this.#look(name, row.key, use);
    if (latest.version <= row.version) return false; // that node is late
    known.row = latest;
    if (written) return true;
    known.isLost = latest.holder !== this.#id; // else it is an own write without its answer
    return false;
  }

  async #prove(name: string, held: Held, use: SecretUse) {
    if (this.#isProven(name)) return held.row;
    return await this.#repeat(use, async () => {
      const isKnown = await this.#rewrite(name, held, {}, use) || held.isLost;
      return isKnown ? held.row : undefined;
    });
  }

  /** Whether the last write was sent so lately that nobody can have taken over since. */
  #isProven(name: string) {
    const own = this.#own.get(name);
    if (!own) return false;
    const ages = [this.#options.timer.now() - own.at, Math.abs(Date.now() - own.wall)];
    return ages.every((age) => age <= PROOF_MS);
  }

  async #release(name: string, held: Held) {
    const use = briefly();
    await this.#repeat(use, async () => {
      if (held.isLost || held.row.holder === "") return true;
      return await this.#rewrite(name, held, { holder: "" }, use) || undefined;
    }).catch(() => undefined); // for others the lock ends by its silence
  }

  /** The newest that this process knows: a node that is behind does not know its last write. */
  async #look(name: string, key: string, use: SecretUse) {
    const { engine, timer } = this.#options;
    const read = await engine.read(name, key, use);
    const own = this.#own.get(name);
    const now = timer.now();
    const isLate = own !== undefined && read.version < own.row.version && now - own.at < OWN_MS;
    return isLate ? own.row : read;
  }

  async #write(...request: Parameters<SecretEngine["write"]>) {
    const { engine, timer } = this.#options;
    const [name] = request;
    const [at, wall] = [timer.now(), Date.now()];
    // Refused by a node that is behind, it is done by the next one.
    const row = await engine.write(...request) ?? await engine.write(...request);
    if (row) this.#own.set(name, { row, at, wall });
    return row;
  }

  async #repeat<T>(use: SecretUse, attempt: () => Promise<T | undefined>) {
    const { timer, place } = this.#options;
    const over = (spent: string) =>
      this.#locked(
        `${use.action} ${place()}`,
        `others kept changing it, or a node of the server stayed behind, ${spent}`,
        "Try again later.",
      );
    const { signal } = use;
    return await repeat({ pauseMs: PAUSE_MS, withinMs: CHANGE_MS, timer, signal, over }, attempt);
  }

  async #inTurn<T>(held: Held | undefined, run: () => Promise<T>) {
    if (!held) return await run();
    const result = held.turn.then(run);
    held.turn = result.catch(() => undefined);
    return await result;
  }

  #locked(action: string, reason: string, remedy: string) {
    return new CredentialsBackendError("backend_locked", { action, reason, remedy });
  }
}
