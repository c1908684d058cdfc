import { OPTION_NAMES, type OptionRow, optionRow } from "../options/declaration.ts";
import type { FlagName } from "./flags.ts";

export const STORE_FLAGS = ["backend", "backend-options", "config"] as const;

/** The flags of the options whose row is wanted. */
function flagsOf(isWanted: (row: OptionRow) => boolean): FlagName[] {
  const rows = OPTION_NAMES.map(optionRow).filter(isWanted);
  return rows.flatMap(({ flag }) => flag ?? []) as FlagName[];
}

/** The flags that name a sign-in at a provider as it is stored. */
export const IDENTITY_FLAGS = flagsOf(({ isInKey }) => isInKey === true);

export const SIGN_IN_FLAGS: readonly FlagName[] = [
  ...flagsOf(({ group }) => group === "identity"),
  ...STORE_FLAGS,
];

/** All flags for options of a sign-in, in a program that calls an API or in none. */
export const OPTION_FLAGS: readonly FlagName[] = [...flagsOf(() => true), ...STORE_FLAGS];

/** The flags of a command that needs a token. */
export const BEARER_FLAGS: readonly FlagName[] = [
  ...IDENTITY_FLAGS,
  "scope",
  "bearer",
  ...STORE_FLAGS,
  "login",
  "refresh",
  "debug",
];
