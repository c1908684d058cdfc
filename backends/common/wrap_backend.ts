import type { OptionalMember } from "../credentials_backend_error.ts";
import type { OidcCredentialsBackend } from "../oidc_credentials_backend.ts";

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
