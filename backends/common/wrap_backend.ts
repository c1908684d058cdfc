import type { OidcCredentialsBackend } from "../oidc_credentials_backend.ts";

/** The members whose absence says something. A wrapper has each of the others. */
export type Ability = Exclude<
  keyof OidcCredentialsBackend,
  "get" | "put" | "delete" | "persistent" | "location" | "close"
>;

/** What a wrapper does for each ability of a store. */
type Abilities = { [Name in Ability]: NonNullable<OidcCredentialsBackend[Name]> };

/**
 * The abilities that a wrapper has: each of `abilities` that the wrapped stores have, too. A wrapper that
 * forgot one would not compile.
 */
export function wrapAbilities(
  has: (name: Ability) => boolean,
  abilities: Abilities,
): Partial<Abilities> {
  const names = Object.keys(abilities) as Ability[];
  return Object.fromEntries(names.filter(has).map((name) => [name, abilities[name]]));
}

/**
 * A backend that does what another one does, with the members of `changes` in place of its own, for
 * instance to count or to refuse. A member that the other one lacks is lacking here as well, unless
 * `changes` has it: without this helper, a wrapper forwards some optional members and forgets others.
 *
 * Needs no permission.
 *
 * @param backend The wrapped backend.
 * @param changes The members that differ.
 * @returns The wrapper.
 * @category Testing
 *
 * @example
 * ```ts
 * import { MemoryCredentialsBackend } from "@validmind/auth";
 * import { wrapBackend } from "@validmind/auth/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const store = new MemoryCredentialsBackend();
 * const read: string[] = [];
 * const counting = wrapBackend(store, {
 *   get(key) {
 *     read.push(key);
 *     return store.get(key);
 *   },
 * });
 * await counting.withLock!("k", async () => void await counting.get("k"));
 * assertEquals(read, ["k"]);
 * ```
 */
export function wrapBackend(
  backend: OidcCredentialsBackend,
  changes: Partial<OidcCredentialsBackend>,
): OidcCredentialsBackend {
  return new Proxy(backend, {
    get(target, name) {
      if (Object.hasOwn(changes, name)) return Reflect.get(changes, name);
      const member = Reflect.get(target, name);
      const isMethod = typeof member === "function" && name !== "constructor";
      return isMethod ? member.bind(target) : member;
    },
  });
}
