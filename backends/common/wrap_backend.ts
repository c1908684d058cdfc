import type { OidcCredentialsBackend } from "../oidc_credentials_backend.ts";

/** The members that a backend may lack. A type error here means that the protocol has got another one. */
type OptionalMember = {
  [Name in keyof OidcCredentialsBackend]-?: undefined extends OidcCredentialsBackend[Name] ? Name
    : never;
}[keyof OidcCredentialsBackend];

const OPTIONAL = {
  withLock: true,
  list: true,
  deleteAll: true,
  requiredPermissions: true,
  persistent: true,
  location: true,
  close: true,
} satisfies Record<OptionalMember, true>;

/** The members of a backend beside its three methods. */
export const OPTIONAL_MEMBERS = Object.keys(OPTIONAL) as readonly OptionalMember[];

/** The members whose absence says something. A wrapper gives the value of the three others as it is. */
type Ability = Exclude<OptionalMember, "persistent" | "location" | "close">;

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
