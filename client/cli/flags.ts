import { BACKEND_VARIABLES } from "../../backends/common/backend_choice.ts";
import { OPTION_NAMES, type OptionRow, optionRow, type OPTIONS } from "../options/declaration.ts";
import { CONFIG_VARIABLE, USUAL_SETTINGS } from "../options/settings_path.ts";

/** One flag. Parser, help, completions and reference are made from it. */
interface Flag {
  readonly help: string;
  /** A letter that stands for the name after one dash. */
  readonly short?: string;
  /** Placeholder for its value in help. A flag without a placeholder takes no value. */
  readonly value?: string;
  /** All values that it takes, if they are few. */
  readonly choices?: readonly string[];
  /** Whether it names a store. */
  readonly isStore?: true;
  /** Whether it may be given more than once. */
  readonly isRepeatable?: boolean;
  /** The variable that is read if the flag is not given. */
  readonly variable?: string;
}

const store = (help: string, variable?: string) =>
  ({ value: "NAME", isStore: true, help, variable }) as Flag;

/** What `token` can print in place of the bare token. */
export const TOKEN_FORMATS = ["exec-credential", "git", "json"] as const;

/** The flags beside those of the options. */
const OWN_FLAGS = {
  "backend": store(
    "the store for tokens: a built-in name, or MODULE:EXPORT",
    BACKEND_VARIABLES.name,
  ),
  "backend-options": {
    value: "FILE",
    help: "JSON file with the options of --backend",
  },
  "config": {
    value: "FILE",
    variable: CONFIG_VARIABLE,
    help: `the settings file, in place of ${USUAL_SETTINGS}`,
  },
  "from": store("the backend that has the entries"),
  "from-options": { value: "FILE", help: "JSON file with the options of --from" },
  "to": store("the backend that gets the entries"),
  "to-options": { value: "FILE", help: "JSON file with the options of --to" },
  "delete-source": { help: "delete each entry from --from after its copy was read back" },
  "no-open": { help: "show the link only, and open no browser" },
  "login": { help: "ask the person to sign in if needed" },
  "refresh": { help: "get a new token even if the stored one is still valid" },
  "format": { value: "FORMAT", choices: TOKEN_FORMATS, help: "print the token in another form" },
  "variable": { value: "NAME", help: "the variable for the token, instead of VM_ACCESS_TOKEN" },
  "revoke": { help: "also ask the provider to end the tokens" },
  "all": { help: "remove every entry from the backend" },
  "for": {
    value: "WHAT",
    choices: ["script", "init", "cli"],
    help: "the code with the sign-in",
  },
  "discover": { help: "ask the provider for its other hosts, and list them too" },
  "method": {
    value: "METHOD",
    short: "X",
    help: "the HTTP method; without it GET, or POST with a body",
  },
  "field": {
    value: "NAME=VALUE",
    short: "F",
    isRepeatable: true,
    help: "a member of the body, as JSON or text; @FILE reads a file",
  },
  "raw-field": {
    value: "NAME=VALUE",
    short: "f",
    isRepeatable: true,
    help: "a member of the body, as text",
  },
  "input": { value: "FILE", help: "file with the body; - reads standard input" },
  "header": {
    value: "HEADER",
    short: "H",
    isRepeatable: true,
    help: "a header of the request, as NAME:VALUE",
  },
  "json": { help: "print JSON" },
  "help": { short: "h", help: "show help" },
  "version": { short: "V", help: "print the version" },
} satisfies Record<string, Flag>;

type OptionFlag = Extract<typeof OPTIONS[keyof typeof OPTIONS], { flag: string }>["flag"];

export type FlagName = OptionFlag | keyof typeof OWN_FLAGS;

/** All flags of all commands. A name means the same in every command. */
export const FLAGS: Readonly<Record<FlagName, Flag>> = {
  ...Object.fromEntries(
    OPTION_NAMES.map(optionRow).filter(({ flag }) => flag !== undefined).map((row) => [row.flag, {
      ...row,
      choices: typeof row.type === "string" ? undefined : row.type,
      isRepeatable: row.type === "texts",
    }]),
  ) as Record<OptionFlag, Flag>,
  ...OWN_FLAGS,
};

/** The flags of a command line, each with its values: none for a flag that takes none. */
export class FlagValues extends Map<FlagName, readonly string[]> {
  /** The value of a flag, if it is given and takes one. */
  text(name: FlagName): string | undefined {
    return this.get(name)?.[0];
  }
}

/** The flags of a change of the settings. */
export const CHANGE_FLAGS: readonly FlagName[] = ["profile", "config", "json"];

export const STORE_FLAGS = ["backend", "backend-options", "config"] as const;

/** The flags of the options whose row is wanted. */
function flagsOf(isWanted: (row: OptionRow) => boolean) {
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
