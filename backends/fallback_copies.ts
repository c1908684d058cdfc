import type { OidcCredentials, OidcCredentialsBackend } from "./oidc_credentials_backend.ts";

/** An entry as one store has it. */
export interface Copy {
  readonly store: OidcCredentialsBackend;
  /** As it was given to the fallback backend. */
  readonly entry: OidcCredentials;
  /** Higher is newer. `undefined` for what another program wrote. */
  readonly generation: number | undefined;
  /** Whether a newer one was about to be written elsewhere. */
  readonly isSuperseded: boolean;
}

/** The member of a stored entry that holds the order of copies. */
const FIELD = "fallback_copy";

interface Mark {
  generation?: number;
  superseded?: true;
}

/** Takes apart what a store holds. */
export function toCopy(store: OidcCredentialsBackend, stored: OidcCredentials): Copy {
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
export function newerThan(copies: readonly Copy[], entry: OidcCredentials): OidcCredentials {
  // The clock orders only what was written where the other could not be seen.
  const generations = copies.map(({ generation }) => (generation ?? 0) + 1);
  return mark(entry, { generation: Math.max(Date.now(), ...generations) });
}

/** A copy as it is stored once a newer one is about to be written elsewhere. */
export function superseded({ entry, generation }: Copy): OidcCredentials {
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
