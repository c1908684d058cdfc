import { BUILT_IN_NAMES } from "../../backends/load/built_in_backends.ts";

/** One flag, as parser, help, completions and README need it. */
export interface Flag {
  /** What it does, in a few words. */
  readonly summary: string;
  /** What stands for its value in a help text. A flag without it takes none. */
  readonly value?: string;
  /** The values that it takes, where they are few. */
  readonly choices?: readonly string[];
  /** Values that a shell offers, where others are taken, too. */
  readonly suggestions?: readonly string[];
  /** The variable that stands for it where it is not given. */
  readonly variable?: string;
}

/** What {@linkcode FLAGS}`.for` takes beside the names of commands. */
export const SCRIPT_KINDS = ["script", "init", "cli"] as const;

/** All flags of all commands: a name means the same wherever it is taken. */
export const FLAGS = {
  "issuer": {
    value: "URL",
    variable: "VM_OIDC_ISSUER",
    summary: "the OpenID Provider to sign in at",
  },
  "client-id": {
    value: "ID",
    variable: "VM_OIDC_CLIENT_ID",
    summary: "the client to sign in with",
  },
  "audience": {
    value: "API",
    variable: "VM_OIDC_AUDIENCE",
    summary: "the API that the token is for, where the provider asks for it",
  },
  "profile": {
    value: "NAME",
    variable: "VM_OIDC_PROFILE",
    summary: "which of several sign-ins to one client is meant",
  },
  "dpop": { summary: "tokens that are bound to a key (DPoP), as with the option dpop" },
  "scope": {
    value: "SCOPE",
    variable: "VM_OIDC_SCOPE",
    summary: "what to ask for, names separated by spaces",
  },
  "api-host": { value: "URL", variable: "VM_API_HOST", summary: "the API that is to be called" },
  "backend": {
    value: "NAME",
    variable: "VM_OIDC_CREDENTIALS_BACKEND",
    suggestions: BUILT_IN_NAMES,
    summary: "where tokens are kept: a built-in name, or <module>:<ExportName>",
  },
  "backend-options": {
    value: "FILE",
    summary: "JSON file with the options of --backend; - reads standard input",
  },
  "from": {
    value: "NAME",
    suggestions: BUILT_IN_NAMES,
    summary: "the backend that has the entries",
  },
  "from-options": { value: "FILE", summary: "JSON file with the options of --from" },
  "to": {
    value: "NAME",
    suggestions: BUILT_IN_NAMES,
    summary: "the backend that gets the entries",
  },
  "to-options": { value: "FILE", summary: "JSON file with the options of --to" },
  "delete-source": { summary: "delete each entry from --from once its copy was read back" },
  "login": { summary: "ask the person to sign in where that is needed" },
  "refresh": { summary: "get a new token even if the stored one has not ended" },
  "header": { summary: "print a whole header line: Authorization: Bearer …" },
  "revoke": { summary: "also have the provider end the tokens" },
  "all": { summary: "remove every entry of the backend" },
  "for": {
    value: "WHAT",
    choices: [
      ...SCRIPT_KINDS,
      "login",
      "status",
      "token",
      "logout",
      "migrate",
      "doctor",
      "backends",
    ],
    summary: "a script that calls createSession() or init(), this program, or one command of it",
  },
  "discover": { summary: "ask the provider, and name its other hosts, too" },
  "json": { summary: "print JSON" },
  "quiet": { summary: "print nothing but errors: the exit code tells" },
  "help": { summary: "tell how a command is used" },
  "version": { summary: "tell the version" },
} as const satisfies Record<string, Flag>;

/** The name of a flag, without dashes. */
export type FlagName = keyof typeof FLAGS;

/** One flag of the table, by its name. */
export function flagOf(name: FlagName): Flag {
  return FLAGS[name];
}

/** The flags that a person gave, checked. */
export class FlagValues {
  readonly #values: ReadonlyMap<FlagName, string | true>;

  constructor(values: ReadonlyMap<FlagName, string | true> = new Map()) {
    this.#values = values;
  }

  /** The value of a flag that takes one. */
  text(name: FlagName): string | undefined {
    const value = this.#values.get(name);
    return value === true ? undefined : value;
  }

  /** Whether a flag was given. */
  has(name: FlagName): boolean {
    return this.#values.has(name);
  }
}
