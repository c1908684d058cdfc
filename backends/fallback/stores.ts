import { classNameOf, entryFrom, locationOf } from "../common/describe_backend.ts";
import { printable } from "../common/printable.ts";
import { Queue } from "../common/promises.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import type {
  MaybePromise,
  OidcCredentials,
  OidcCredentialsBackend,
  PutOptions,
  WithLockOptions,
} from "../oidc_credentials_backend.ts";
import {
  type Copy,
  isStill,
  marksFor,
  mayReplace,
  newest,
  orderAfter,
  removeWritten,
  rowOf,
  toCopy,
  tryPut,
} from "./copy.ts";

export interface Look {
  readonly store: OidcCredentialsBackend;
  readonly copy?: Copy;
  readonly error?: unknown;
}

export interface Missed {
  readonly store: OidcCredentialsBackend;
  readonly error: CredentialsBackendError;
}

export interface Stored {
  readonly used: OidcCredentialsBackend;
  /** Stores that were passed over. */
  readonly missed: readonly Missed[];
  /** Stores in which an older copy was left. */
  readonly left: readonly Missed[];
}

/** The stores of a fallback backend. See `newest()` for the copy that counts. */
export class FallbackStores {
  readonly #stores: readonly OidcCredentialsBackend[];
  readonly #lock: ReturnType<typeof fallbackLock>;
  /** The store in which this process has seen the entry of a key. */
  readonly #homes = new Map<string, OidcCredentialsBackend>();

  constructor(stores: readonly OidcCredentialsBackend[], lock: ReturnType<typeof fallbackLock>) {
    this.#stores = stores;
    this.#lock = lock;
  }

  async get(key: string): Promise<OidcCredentials | undefined> {
    return this.#choose(key, await this.look(key))?.entry;
  }

  /**
   * Writes to the first store that takes the entry and whose later stores all answer. Other copies
   * are marked before the write and removed after it. `undefined`: the present entry is not the one to
   * replace. The store of the present entry decides it in one step with the write, where it can; where
   * the entry moves to another store, its former place is looked at again.
   */
  async put(
    key: string,
    entry: OidcCredentials,
    isReplaced: PutOptions["isReplaced"],
  ): Promise<Stored | undefined> {
    const looks = await this.look(key);
    const current = this.#choose(key, looks);
    let isWanted = isReplaced?.(current?.entry) ?? true;
    if (!isWanted) return undefined;
    const copies = copiesIn(looks);
    const order = orderAfter(copies);
    const marks = marksFor(key, order, current);
    const missed = looks.flatMap(({ store, error }) =>
      isUnreachable(error) ? { store, error } : []
    );
    const first = lastUnreachable(looks) + 1;
    for (const [index, store] of this.#stores.entries()) {
      if (index < first) continue;
      const others = copies.filter((copy) => copy.store !== store);
      const isCurrent = current === undefined || current.store === store;
      const seen = copies.find((copy) => copy.store === store);
      const decide = (present: OidcCredentials | undefined) =>
        isWanted = isCurrent
          ? isReplaced!(present && toCopy(store, index, present).entry)
          : isStill(seen, present);
      const refusal = await marks.set(others, index) ??
        await tryPut(store, key, rowOf(entry, order), isReplaced && { isReplaced: decide });
      if (!isWanted) {
        await removeAll(key, others); // older than the entry that was removed or replaced meanwhile
        return undefined;
      }
      if (refusal === undefined) {
        if (!isCurrent && isReplaced && !await mayReplace(key, current, isReplaced)) {
          await removeWritten(key, store, order);
          return undefined;
        }
        this.#homes.set(key, store);
        return { used: store, missed, left: await removeAll(key, others) };
      }
      missed.push({ store, error: refusal });
    }
    await marks.takeBack();
    throw noneTookIt(missed);
  }

  async delete(key: string): Promise<Missed[]> {
    const home = this.#homes.get(key);
    const remove = (store: OidcCredentialsBackend) =>
      this.#use(key, store, () => store.delete(key));
    const missed = await this.each(remove);
    // An entry may have moved to a store that was done. A store that did not answer is not waited for
    // a second time.
    const silent = new Set(missed.map(({ store }) => store));
    missed.push(...await this.each((store) => silent.has(store) ? undefined : remove(store)));
    const atHome = missed.find(({ store }) => store === home);
    if (atHome !== undefined) throw atHome.error;
    this.#homes.delete(key);
    return missed;
  }

  /** Runs the same in every store. An error of a store that was reached is thrown at the end. */
  async each(run: (store: OidcCredentialsBackend) => MaybePromise<void>): Promise<Missed[]> {
    const missed: Missed[] = [];
    const faults: unknown[] = [];
    for (const store of this.#stores) {
      try {
        await run(store);
      } catch (error) {
        if (isUnreachable(error)) missed.push({ store, error });
        else faults.push(error);
      }
    }
    if (faults.length > 0) throw faults[0];
    return missed;
  }

  /** Asks each store for a key, all of them at once. Never fails. Waits only for stores that do. */
  look(key: string): MaybePromise<Look[]> {
    const looks = this.#stores.map((store, index) => this.#lookInto(store, index, key));
    return looks.some((look) => look instanceof Promise) ? Promise.all(looks) : looks as Look[];
  }

  #lookInto(store: OidcCredentialsBackend, index: number, key: string): MaybePromise<Look> {
    const found = (stored: OidcCredentials | undefined | null): Look => {
      const entry = entryFrom(store, stored);
      return entry ? { store, copy: toCopy(store, index, entry) } : { store };
    };
    const failed = (error: unknown): Look => ({ store, error });
    try {
      const stored = this.#use(key, store, () => store.get(key));
      return isPromise(stored) ? Promise.resolve(stored).then(found).catch(failed) : found(stored);
    } catch (error) {
      return failed(error);
    }
  }

  /** The copy that counts. Throws a store's error, unless it cannot hold a newer copy. */
  #choose(key: string, looks: readonly Look[]): Copy | undefined {
    const fault = looks.find((look) => "error" in look && !isUnreachable(look.error));
    if (fault !== undefined) throw fault.error;
    const chosen = newest(copiesIn(looks));
    const silent = lastUnreachable(looks);
    if (silent >= 0) this.#checkSilent(key, looks, chosen, silent);
    if (chosen === undefined) this.#homes.delete(key);
    else this.#homes.set(key, chosen.store);
    return chosen;
  }

  /**
   * Refuses a copy that need not be the newest. A newer one may be in any silent store where the
   * copy is marked, and in a later silent store otherwise: see `newest()`. `silent` is the last one.
   */
  #checkSilent(
    key: string,
    looks: readonly Look[],
    chosen: Copy | undefined,
    silent: number,
  ): void {
    const home = this.#homes.get(key);
    const lost = looks.find(({ store, error }) => error !== undefined && store === home);
    const isOld = chosen !== undefined && (chosen.isSuperseded || chosen.index < silent);
    const isLastSilent = silent === looks.length - 1;
    if (isOld || isLastSilent) throw looks[silent]!.error;
    if (chosen === undefined && lost !== undefined) throw lost.error;
  }

  #use<T>(key: string, store: OidcCredentialsBackend, run: () => T): T {
    const missed = this.#lock.missed(key, store);
    if (missed !== undefined) throw missed;
    return run();
  }
}

/** Whether a store's answer is to be waited for. A store may have promises of its own kind. */
function isPromise<T>(answer: MaybePromise<T>): answer is Promise<T> {
  return typeof (answer as Partial<Promise<T>> | null | undefined)?.then === "function";
}

/** Each get calls this: `flatMap` would take 3 % more instructions of it. */
export function copiesIn(looks: readonly Look[]): Copy[] {
  return looks.map(({ copy }) => copy).filter((copy) => copy !== undefined);
}

function lastUnreachable(looks: readonly Look[]): number {
  return looks.findLastIndex(({ error }) => error !== undefined && isUnreachable(error));
}

/** Removes older copies. The entry is stored: a copy that stays does not count, and is reported. */
async function removeAll(key: string, copies: readonly Copy[]): Promise<Missed[]> {
  const left: Missed[] = [];
  for (const { store } of copies) {
    try {
      await store.delete(key);
    } catch (error) {
      left.push({
        store,
        error: error instanceof CredentialsBackendError ? error : unnamed(store),
      });
    }
  }
  return left;
}

function noneTookIt(missed: readonly Missed[]): CredentialsBackendError {
  const reasons = missed.map(({ store, error }) => `${placeOf(store)} (${error.code})`);
  const { error } = missed.at(-1)!;
  return new CredentialsBackendError(
    error.code,
    `Cannot store credentials: none of these took them: ${reasons.join(", ")}. Mend one of them, ` +
      `or add another one to the list.`,
    { cause: error },
  );
}

function unnamed(store: OidcCredentialsBackend): CredentialsBackendError {
  return new CredentialsBackendError(
    "backend_unavailable",
    `Cannot delete credentials in ${placeOf(store)}: it threw an error without a code. Mend it.`,
  );
}

/**
 * The lock of a key over several stores: the locks of all stores that have one and can be reached.
 * Two processes that reach different stores exclude each other by the stores that both reach. A store
 * whose lock was not acquired is not used under the lock.
 */
export function fallbackLock(all: readonly OidcCredentialsBackend[]) {
  // By place, not by rank: two settings that rank their stores differently must not deadlock.
  const stores = all.filter(({ withLock }) => withLock !== undefined)
    .toSorted((a, b) => (locationOf(a) ?? "") < (locationOf(b) ?? "") ? -1 : 1);
  /** One at a time in this process, also where no store can be locked. */
  const queue = new Queue();
  const missed = new Map<string, Map<OidcCredentialsBackend, CredentialsBackendError>>();

  const runFrom = async <T>(
    index: number,
    key: string,
    fn: () => Promise<T>,
    options: WithLockOptions<T>,
  ): Promise<T> => {
    const store = stores[index];
    if (store === undefined) return await fn();
    const next = () => runFrom(index + 1, key, fn, options);
    let hasBegun = false;
    const begin = () => {
      hasBegun = true;
      return next();
    };
    try {
      return await store.withLock!(key, begin, options);
    } catch (error) {
      if (hasBegun || !isUnreachable(error)) throw error;
      missed.get(key)?.set(store, error);
      return await next();
    }
  };

  return {
    exists: stores.length > 0,
    /** The error for which a store may not be used while this process holds the key's lock. */
    missed: (key: string, store: OidcCredentialsBackend) => missed.get(key)?.get(store),
    run: <T>(key: string, fn: () => Promise<T>, options: WithLockOptions<T>): Promise<T> =>
      queue.run(key, async () => {
        missed.set(key, new Map());
        try {
          return await runFrom(0, key, fn, options);
        } finally {
          missed.delete(key);
        }
      }, options.signal),
  };
}

export function placeOf(store: OidcCredentialsBackend): string {
  return printable(locationOf(store) ?? (classNameOf(store) || "an unnamed backend"));
}

export function isUnreachable(error: unknown): error is CredentialsBackendError {
  return error instanceof CredentialsBackendError &&
    (error.code === "backend_unavailable" || error.code === "backend_timeout");
}
