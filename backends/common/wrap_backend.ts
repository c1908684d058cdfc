import type { OidcCredentialsBackend } from "../oidc_credentials_backend.ts";

/** The optional members: a caller looks whether they are there. */
const ABILITIES = ["withLock", "list", "deleteAll", "requiredPermissions"] as const;

/** Takes from a wrapper, which has them all, the abilities that the wrapped stores lack. */
export function limitAbilities(
  wrapper: object,
  has: (name: typeof ABILITIES[number]) => boolean,
): void {
  for (const name of ABILITIES) {
    if (!has(name)) Object.defineProperty(wrapper, name, { value: undefined });
  }
}

/**
 * A backend that works like another one, with the members of `changes` in place of its own. For
 * example, it can count or refuse calls. A member that the other backend lacks is missing here as
 * well, unless `changes` has it. A wrapper without this helper forwards some optional members and
 * forgets others. A `put` of `changes` returns the answer of the inner `put`, which may be `false`.
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
  // Not of the backend itself: a proxy has to give the members of a frozen object as they are.
  return new Proxy(Object.create(backend), {
    get(_, name) {
      if (Object.hasOwn(changes, name)) return Reflect.get(changes, name);
      const member = Reflect.get(backend, name);
      if (typeof member === "function" && name !== "constructor") return member.bind(backend);
      return member;
    },
  });
}
