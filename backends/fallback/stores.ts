import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { type FallbackLock, isUnreachable } from "./lock.ts";
import type {
  MaybePromise,
  OidcCredentials,
  OidcCredentialsBackend,
} from "../oidc_credentials_backend.ts";

/** The member of a stored entry that holds the order of copies. */
const FIELD = "fallback_copy";

/** An entry as one store has it. */
interface Copy {
  readonly store: OidcCredentialsBackend;
  /** As it was given to the fallback backend. */
  readonly entry: OidcCredentials;
  /** Higher is newer. `undefined` for what another program wrote. */
  readonly generation: number | undefined;
  /** Whether a newer one was about to be written elsewhere. */
  readonly isSuperseded: boolean;
}

/** What one store says of a key: a copy, nothing, or why it cannot say. */
export interface Look {
  readonly store: OidcCredentialsBackend;
  readonly copy?: Copy;
  readonly error?: unknown;
}

/** A store that was passed over. */
export interface Missed {
  readonly store: OidcCredentialsBackend;
  readonly error: CredentialsBackendError;
}

/** What {@linkcode FIELD} holds. */
interface Mark {
  generation?: number;
  superseded?: true;
}

/** The stores of a fallback backend, and which copy of an entry counts. */
export class FallbackStores {
  readonly #stores: readonly OidcCredentialsBackend[];
  readonly #lock: FallbackLock;
  /** Where this process has seen the entry of a key. */
  readonly #homes = new Map<string, OidcCredentialsBackend>();

  constructor(stores: readonly OidcCredentialsBackend[], lock: FallbackLock) {
    this.#stores = stores;
    this.#lock = lock;
  }

  /** The entry that counts. */
  async get(key: string): Promise<OidcCredentials | undefined> {
    return this.#choose(key, await this.look(key))?.entry;
  }

  /** Writes to the first store that takes the entry, and removes it from the others. */
  async put(
    key: string,
    entry: OidcCredentials,
  ): Promise<{ used: OidcCredentialsBackend; missed: Missed[] }> {
    const looks = await this.look(key);
    this.#choose(key, looks); // refuses where it cannot be told which copy counts
    const copies = looks.flatMap(({ copy }) => copy ?? []);
    const stored = newerThan(copies, entry);
    const missed: Missed[] = [];
    for (const { store, error } of looks) {
      const others = copies.filter((copy) => copy.store !== store);
      const refusal = isUnreachable(error) ? error : await putIn(store, key, stored, others);
      if (refusal === undefined) {
        this.#homes.set(key, store);
        return { used: store, missed };
      }
      missed.push({ store, error: refusal });
    }
    throw noneTookIt(missed);
  }

  /** Removes the entry from every store that answers. */
  async delete(key: string): Promise<Missed[]> {
    const home = this.#homes.get(key);
    const missed = await this.each((store) => this.#use(key, store, () => store.delete(key)));
    const atHome = missed.find(({ store }) => store === home);
    if (atHome !== undefined) throw atHome.error;
    this.#homes.delete(key);
    return missed;
  }

  /** Does the same in every store; an error but "did not answer" is thrown once all are done. */
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

  /** What each store says of a key. Never fails. */
  look(key: string): Promise<Look[]> {
    return Promise.all(this.#stores.map(async (store): Promise<Look> => {
      try {
        const stored = await this.#use(key, store, () => store.get(key));
        return stored ? { store, copy: toCopy(store, stored) } : { store };
      } catch (error) {
        return { store, error };
      }
    }));
  }

  /**
   * The copy that counts.
   *
   * @throws What a store reports, unless it did not answer and the copy cannot be an old one.
   */
  #choose(key: string, looks: readonly Look[]): Copy | undefined {
    const failed = looks.filter((look) => "error" in look);
    const fault = failed.find(({ error }) => !isUnreachable(error));
    if (fault !== undefined) throw fault.error;
    const chosen = newest(looks.flatMap(({ copy }) => copy ?? []));
    // The newer copy may be where nobody answers: the older one's refresh token is spent.
    if (chosen?.isSuperseded && failed[0] !== undefined) throw failed[0].error;
    const home = this.#homes.get(key);
    const lost = failed.find(({ store }) => store === home);
    if (chosen === undefined && lost !== undefined) throw lost.error;
    if (chosen === undefined) this.#homes.delete(key);
    else this.#homes.set(key, chosen.store);
    return chosen;
  }

  #use<T>(key: string, store: OidcCredentialsBackend, run: () => T): T {
    const missed = this.#lock.missed(key, store);
    if (missed !== undefined) throw missed;
    return run();
  }
}

/**
 * Writes to one store, between marking and removing the other copies.
 *
 * @returns Why the store has certainly not taken it; else what fails is thrown.
 */
async function putIn(
  store: OidcCredentialsBackend,
  key: string,
  stored: OidcCredentials,
  others: readonly Copy[],
): Promise<CredentialsBackendError | undefined> {
  const unmarked = new Set<Copy>();
  for (const copy of others) if (!await supersede(key, copy)) unmarked.add(copy);
  try {
    await store.put(key, stored);
  } catch (error) {
    if (isRefused(error)) return error;
    throw error;
  }
  for (const copy of others) {
    try {
      await copy.store.delete(key);
    } catch (error) {
      // A marked copy does no harm, and the next write removes it.
      if (unmarked.has(copy)) throw error;
    }
  }
  return undefined;
}

/** Whether a copy is marked now: a full store may have no room for the mark. */
async function supersede(key: string, copy: Copy): Promise<boolean> {
  if (copy.isSuperseded) return true;
  try {
    await copy.store.put(key, superseded(copy));
    return true;
  } catch (error) {
    if (isRefused(error)) return false;
    throw error;
  }
}

/** A store in words. */
export function placeOf(store: OidcCredentialsBackend): string {
  return store.location ?? (store.constructor?.name || "an unnamed backend");
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

/**
 * Whether a store that was reached has certainly not taken an entry. What failed otherwise may have
 * been written, and must not be written elsewhere, too.
 */
function isRefused(error: unknown): error is CredentialsBackendError {
  return error instanceof CredentialsBackendError &&
    (error.code === "backend_too_large" || error.code === "backend_full");
}

/** Takes apart what a store holds. */
function toCopy(store: OidcCredentialsBackend, stored: OidcCredentials): Copy {
  const { [FIELD]: field, ...entry } = stored;
  const { generation, superseded } = (field ?? {}) as Mark;
  return {
    store,
    entry: entry as OidcCredentials,
    generation: Number.isSafeInteger(generation) ? generation : undefined,
    isSuperseded: superseded === true,
  };
}

/** An entry as it is stored, newer than all of `copies`. */
function newerThan(copies: readonly Copy[], entry: OidcCredentials): OidcCredentials {
  // The clock orders only what was written where the other could not be seen.
  const generations = copies.map(({ generation }) => (generation ?? 0) + 1);
  return mark(entry, { generation: Math.max(Date.now(), ...generations) });
}

/** A copy as it is stored once a newer one is about to be written elsewhere. */
function superseded({ entry, generation }: Copy): OidcCredentials {
  return mark(entry, { ...(generation !== undefined && { generation }), superseded: true });
}

/**
 * The copy that counts: the one of the highest generation, then of the first store. Where another
 * program wrote one, without a generation, the copy that ends later. A superseded copy is the newest
 * as long as what was to supersede it has not been written.
 */
export function newest(copies: readonly Copy[]): Copy | undefined {
  const isOrdered = copies.every(({ generation }) => generation !== undefined);
  const rank = ({ generation, entry }: Copy) => isOrdered ? generation! : endOf(entry);
  return copies.reduce<Copy | undefined>(
    (best, one) => best === undefined || rank(one) > rank(best) ? one : best,
    undefined,
  );
}

function mark(entry: OidcCredentials, mark: Mark): OidcCredentials {
  return { ...entry, [FIELD]: mark };
}

function endOf({ expires_at }: OidcCredentials): number {
  return Date.parse(expires_at ?? "") || 0;
}
