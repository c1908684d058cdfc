import { entryFrom } from "../common/describe_backend.ts";
import { toHex } from "../common/printable.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
  PutOptions,
} from "../oidc_credentials_backend.ts";

/** The member of a stored entry that holds the order of copies. */
const FIELD = "fallback_copy";

/** A counter never gets this far. A number beyond it was planted, and counts as none. */
const MAX_GENERATION = 2 ** 48;

export interface Copy {
  readonly store: OidcCredentialsBackend;
  readonly index: number;
  readonly entry: OidcCredentials;
  /**
   * The place in the sequence of writes: each write counts on from the copies that it sees, and
   * starts a lineage of its own where it sees none. `undefined` for a row of another program. A
   * row whose order this module cannot have written has generation 0, and loses to all others.
   */
  readonly order?: CopyOrder;
  /** Whether a newer copy was about to be written elsewhere. */
  readonly isSuperseded: boolean;
}

export interface CopyOrder {
  readonly lineage: string;
  readonly generation: number;
}

export function toCopy(
  store: OidcCredentialsBackend,
  index: number,
  stored: OidcCredentials,
): Copy {
  const { [FIELD]: field, ...entry } = stored;
  const { lineage, generation, superseded } = Object(field) as Record<string, unknown>;
  const isOrder = typeof lineage === "string" && isGeneration(generation);
  const order = isOrder ? { lineage, generation } : { lineage: "", generation: 0 };
  const isSuperseded = superseded === true;
  return {
    store,
    index,
    entry: entry as OidcCredentials,
    ...(field !== undefined && { order }),
    isSuperseded,
  };
}

/** The order of a copy that is newer than all of `copies`. */
export function orderAfter(copies: readonly Copy[]): CopyOrder {
  // Two steps: one for the mark of the newest copy, which stays above the marks of all others.
  const generation = Math.max(0, ...copies.map(({ order }) => order?.generation ?? 0)) + 2;
  const lineage = newest(copies)?.order?.lineage;
  if (lineage && generation < MAX_GENERATION) return { lineage, generation };
  return {
    lineage: toHex(crypto.getRandomValues(new Uint8Array(8))),
    generation: Math.min(generation, MAX_GENERATION - 1),
  };
}

export function rowOf(entry: OidcCredentials, order: CopyOrder | undefined): OidcCredentials {
  return order === undefined ? entry : { ...entry, [FIELD]: order };
}

/**
 * The row of a copy while a newer one is about to be written elsewhere. It joins the lineage of the
 * newer one, so that it loses to it wherever it is. The newest copy counts until then.
 */
function supersededRow(
  { entry }: Copy,
  { lineage, generation }: CopyOrder,
  isNewest: boolean,
): OidcCredentials {
  const order = { lineage, generation: isNewest ? generation - 1 : 1 };
  return { ...entry, [FIELD]: { ...order, superseded: true } };
}

/**
 * The copy that counts. Within a lineage that is the copy of the highest generation. Of two lineages
 * it is the one in the later store: a store takes an entry only while all stores after it answer and
 * have their copies marked, so a copy in a later store was written later. Another program's row has
 * no number. It counts where it ends later than the newest copy.
 */
export function newest(copies: readonly Copy[]): Copy | undefined {
  if (copies.length < 2) return copies[0];
  const best = copies.filter(({ order }) => order !== undefined).reduce(newer, undefined);
  return copies.filter(({ order }) => order === undefined).reduce(
    (one: Copy | undefined, other) =>
      one === undefined || endOf(other.entry) > endOf(one.entry) ? other : one,
    best,
  );
}

function newer(one: Copy | undefined, other: Copy): Copy {
  const [a, b] = [one?.order, other.order!];
  if (one === undefined || a === undefined) return other;
  if (a.generation === 0 || b.generation === 0 || a.lineage === b.lineage) {
    if (a.generation !== b.generation) return a.generation > b.generation ? one : other;
    if (one.isSuperseded !== other.isSuperseded) return one.isSuperseded ? other : one;
  }
  return other.index > one.index ? other : one;
}

function isGeneration(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) > 0 && (value as number) < MAX_GENERATION;
}

function endOf({ expires_at }: OidcCredentials): number {
  return Date.parse(expires_at ?? "") || 0;
}

/**
 * The marks on the copies that a write supersedes: without them an old copy might count.
 *
 * `order` is that of the newer copy. The copy `current` counts until then.
 */
export function marksFor(key: string, order: CopyOrder, current: Copy | undefined) {
  const marked = new Set<Copy>();
  const isMarked = (copy: Copy) =>
    marked.has(copy) || copy.isSuperseded && copy.order?.lineage === order.lineage;
  return {
    /**
     * Marks copies that have no mark. Copies of the stores before `index`, which is to take the newer
     * copy, lose to it without one. Gives the refusal of a later store that is full.
     */
    async set(
      copies: readonly Copy[],
      index: number,
    ): Promise<CredentialsBackendError | undefined> {
      for (const copy of copies.filter((copy) => !isMarked(copy))) {
        const row = supersededRow(copy, order, copy === current);
        const refusal = await tryPut(copy.store, key, row, ifStill(copy));
        if (refusal === undefined) marked.add(copy);
        else if (copy.index > index) return refusal;
      }
      return undefined;
    },
    /** Restores the copies after a write that no store took. A mark that stays does no harm yet. */
    async takeBack(): Promise<void> {
      for (const copy of marked) {
        if (copy.isSuperseded) continue;
        const former = rowOf(copy.entry, copy.order);
        const write = () => copy.store.put(key, former, ifStill(copy));
        await Promise.try(write).catch(() => undefined);
      }
    },
  };
}

/** The condition of a mark: a copy that is removed or replaced meanwhile must not come back. */
function ifStill(copy: Copy): PutOptions {
  return { isReplaced: (present) => isStill(copy, present) };
}

/** Whether a store still has a copy, marked or not, or still none. */
export function isStill(copy: Copy | undefined, present: OidcCredentials | undefined): boolean {
  const seen = copy?.entry;
  return present?.access_token === seen?.access_token &&
    present?.refresh_token === seen?.refresh_token;
}

/**
 * Writes a row, and gives the error of a store that has certainly not taken it. A write that failed
 * otherwise may have been done, and the entry must not be written elsewhere, too: its error is thrown.
 */
export async function tryPut(
  store: OidcCredentialsBackend,
  key: string,
  row: OidcCredentials,
  options?: PutOptions,
): Promise<CredentialsBackendError | undefined> {
  try {
    await store.put(key, row, options);
    return undefined;
  } catch (error) {
    const isRefused = error instanceof CredentialsBackendError &&
      (error.code === "backend_too_large" || error.code === "backend_full");
    if (isRefused) return error;
    throw error;
  }
}

/**
 * Whether an entry that was written to another store may stay there. No store compares one row and writes
 * another in one step. A sign-out removes all copies twice: either the copy is missed here, or the
 * sign-out finds the new one at its second time.
 */
export async function mayReplace(
  key: string,
  { store, index }: Copy,
  isReplaced: NonNullable<PutOptions["isReplaced"]>,
): Promise<boolean> {
  try {
    const present = entryFrom(store, await store.get(key));
    return isReplaced(present && toCopy(store, index, present).entry);
  } catch {
    return true; // a copy that cannot be removed is reported
  }
}

/** Removes a new copy, unless another one has its place by now. */
export async function removeWritten(
  key: string,
  store: OidcCredentialsBackend,
  { lineage, generation }: CopyOrder,
): Promise<void> {
  const present = entryFrom(store, await store.get(key));
  const order = present && toCopy(store, 0, present).order;
  if (order?.lineage === lineage && order.generation === generation) await store.delete(key);
}
