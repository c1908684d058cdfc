import { BACKEND_VARIABLES } from "../../backends/common/platform.ts";
import { BUILT_IN_NAMES } from "../../backends/load/backend_setting.ts";
import { OPTION_NAMES, optionRow, type OPTIONS } from "../options/declaration.ts";

/** One flag. Parser, help, completions and reference are made from it. */
export interface Flag {
  readonly summary: string;
  /** A letter that stands for the name after one dash. */
  readonly short?: string;
  /** Placeholder for its value in help. A flag without a placeholder takes no value. */
  readonly value?: string;
  /** All values that it takes, if they are few. */
  readonly choices?: readonly string[];
  /** Values that a shell offers. Others are accepted. */
  readonly suggestions?: readonly string[];
  /** Whether it may be given more than once. */
  readonly isRepeatable?: boolean;
  /** The variable that is read if the flag is not given. */
  readonly variable?: string;
}

const store = (summary: string, variable?: string) =>
  ({ value: "NAME", suggestions: BUILT_IN_NAMES, summary, variable }) as Flag;

/** What `token` can print in place of the bare token. */
export const TOKEN_FORMATS = ["exec-credential", "git", "header", "json"] as const;

/** The flags beside those of the options. */
const OWN_FLAGS = {
  "backend": store(
    "the store for tokens: a built-in name, or <module>:<ExportName>",
    BACKEND_VARIABLES.name,
  ),
  "backend-options": {
    value: "FILE",
    summary: "JSON file with the options of --backend",
  },
  "config": {
    value: "FILE",
    variable: "VM_AUTH_CONFIG",
    summary: "the settings file; without it settings.json in the folder .validmind of your home",
  },
  "from": store("the backend that has the entries"),
  "from-options": { value: "FILE", summary: "JSON file with the options of --from" },
  "to": store("the backend that gets the entries"),
  "to-options": { value: "FILE", summary: "JSON file with the options of --to" },
  "delete-source": { summary: "delete each entry from --from after its copy was read back" },
  "no-open": { summary: "only show the link, also with --flow browser" },
  "login": { summary: "ask the person to sign in if needed" },
  "refresh": { summary: "get a new token even if the stored one is still valid" },
  "format": { value: "FORMAT", choices: TOKEN_FORMATS, summary: "print the token in another form" },
  "variable": { value: "NAME", summary: "the variable for the token, instead of VM_ACCESS_TOKEN" },
  "revoke": { summary: "also ask the provider to end the tokens" },
  "all": { summary: "remove every entry from the backend" },
  "for": {
    value: "WHAT",
    choices: ["script", "init", "cli"],
    summary: "a script that calls createSession() or init(), or this program",
  },
  "discover": { summary: "ask the provider for its other hosts, and list them too" },
  "method": { value: "METHOD", short: "X", summary: "the method; else GET, or POST with a body" },
  "field": {
    value: "NAME=VALUE",
    short: "F",
    isRepeatable: true,
    summary: "a member of the body, as JSON or text; @FILE reads a file",
  },
  "raw-field": {
    value: "NAME=VALUE",
    short: "f",
    isRepeatable: true,
    summary: "a member of the body, as text",
  },
  "input": { value: "FILE", summary: "the body; - reads standard input" },
  "header": {
    value: "HEADER",
    short: "H",
    isRepeatable: true,
    summary: "a header of the request, as NAME:VALUE",
  },
  "json": { summary: "print JSON" },
  "quiet": { short: "q", summary: "print nothing but errors; the exit code is the answer" },
  "help": { short: "h", summary: "show help" },
  "version": { short: "V", summary: "print the version" },
} satisfies Record<string, Flag>;

type OptionFlag = Extract<typeof OPTIONS[keyof typeof OPTIONS], { flag: string }>["flag"];

export type FlagName = OptionFlag | keyof typeof OWN_FLAGS;

/** All flags of all commands. A name means the same in every command. */
export const FLAGS: Readonly<Record<FlagName, Flag>> = {
  ...Object.fromEntries(
    OPTION_NAMES.map(optionRow).filter(({ flag }) => flag !== undefined).map((row) => [row.flag, {
      summary: row.help,
      ...(row.value !== undefined && { value: row.value }),
      ...(row.variable !== undefined && { variable: row.variable }),
      ...(typeof row.type !== "string" && { choices: row.type as readonly string[] }),
      isRepeatable: row.type === "texts",
    }]),
  ) as unknown as Record<OptionFlag, Flag>,
  ...OWN_FLAGS,
};

export class FlagValues {
  readonly #values: ReadonlyMap<FlagName, readonly string[]>;

  constructor(values: ReadonlyMap<FlagName, readonly string[]> = new Map()) {
    this.#values = values;
  }

  /** The value of a flag, if it is given and takes one. */
  text(name: FlagName): string | undefined {
    return this.all(name)[0];
  }

  /** All values of a flag that may be repeated. */
  all(name: FlagName): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  has(name: FlagName): boolean {
    return this.#values.has(name);
  }
}
