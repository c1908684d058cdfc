import { BUILT_IN_NAMES } from "../../backends/load/backend_setting.ts";
import { FLOWS } from "../options/resolve_identity.ts";
import { Settings } from "./settings/settings.ts";

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

/** Values of {@linkcode FLAGS}`.for` beside the names of commands. */
export const SCRIPT_KINDS = ["script", "init", "cli"] as const;

const ROWS = {
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
    summary: "name of one of several sign-ins, and of its settings in the settings file",
  },
  "flow": {
    value: "FLOW",
    choices: FLOWS,
    variable: "VM_OIDC_FLOW",
    summary: "the way to sign in",
  },
  "dpop": { summary: "tokens that are bound to a key (DPoP)" },
  "scope": {
    value: "SCOPE",
    variable: "VM_OIDC_SCOPE",
    summary: "the scope to ask for, names separated by spaces",
  },
  "api-host": { value: "URL", variable: "VM_API_HOST", summary: "the API to call" },
  "backend": {
    value: "NAME",
    variable: "VM_OIDC_CREDENTIALS_BACKEND",
    suggestions: BUILT_IN_NAMES,
    summary: "the store for tokens: a built-in name, or <module>:<ExportName>",
  },
  "backend-options": {
    value: "FILE",
    summary: "JSON file with the options of --backend; - reads standard input",
  },
  "config": {
    value: "FILE",
    summary: "the settings file; without it validmind-auth/config.json in the folder for settings",
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
  "delete-source": { summary: "delete each entry from --from after its copy was read back" },
  "redirect-uri": {
    value: "URI",
    variable: "VM_OIDC_REDIRECT_URI",
    summary: "the address that the browser comes back to, as it is registered",
  },
  "listen": {
    value: "ADDRESS",
    variable: "VM_OIDC_LISTEN",
    summary: "where to listen for the browser behind a proxy, or on one of several ports",
  },
  "consent": {
    summary: "ask for consent in the browser, as some providers want for a refresh token",
  },
  "login-hint": {
    value: "ACCOUNT",
    summary: "the account to fill in on the provider's page, such as an e-mail address",
  },
  "parameter": {
    value: "NAME=VALUE",
    isRepeatable: true,
    summary: "a further parameter of the page of the sign-in, such as prompt=login; repeatable",
  },
  "open": { summary: "open the page of the sign-in in the browser" },
  "no-open": { summary: "only show the link, also with --flow browser" },
  "force": { summary: "ask the person even if a stored sign-in serves" },
  "login": { summary: "ask the person to sign in if needed" },
  "refresh": { summary: "get a new token even if the stored one is still valid" },
  "probe": {
    summary: "try the client at the provider, by a code or a token that is dropped again",
  },
  "header": { summary: "print a whole header line: Authorization: Bearer …" },
  "revoke": { summary: "also ask the provider to end the tokens" },
  "all": { summary: "remove every entry from the backend" },
  "yes": { summary: "do not ask whether --all is meant" },
  "for": {
    value: "WHAT",
    choices: [
      ...SCRIPT_KINDS,
      "login",
      "status",
      "list",
      "token",
      "logout",
      "migrate",
      "doctor",
      "backends",
      "config",
    ],
    summary: "a script that calls createSession() or init(), this program, or one command of it",
  },
  "discover": { summary: "ask the provider for its other hosts, and list them too" },
  "json": { summary: "print JSON" },
  "quiet": { short: "q", summary: "print nothing but errors; the exit code is the answer" },
  "help": { short: "h", summary: "show help" },
  "version": { short: "V", summary: "print the version" },
} as const satisfies Record<string, Flag>;

export type FlagName = keyof typeof ROWS;

/** All flags of all commands. A name means the same in every command. */
export const FLAGS: Readonly<Record<FlagName, Flag>> = ROWS;

/** The values of one flag, in their order; none for a flag without a value. */
export type FlagValue = readonly string[];

export class FlagValues {
  readonly #values: ReadonlyMap<FlagName, FlagValue>;
  /** The settings that apply where neither a flag nor a variable does. */
  readonly settings: Settings;

  constructor(
    values: ReadonlyMap<FlagName, FlagValue> = new Map(),
    settings: Settings = new Settings(),
  ) {
    this.#values = values;
    this.settings = settings;
  }

  /** The same flags, with the settings of a file for a command that takes `names`. */
  withSettings(names: readonly FlagName[]): FlagValues {
    const known: readonly string[] = names;
    const settings = new Settings({
      text: (flag) => this.text(flag as FlagName),
      has: (flag) => this.has(flag as FlagName),
      // migrate has two backends: the file has the one that is not given.
      takes: (flag) =>
        known.includes(known.includes("from") ? flag.replace(/^backend/, "from") : flag),
    });
    return new FlagValues(this.#values, settings);
  }

  /** The flags alone: a script reads no settings file. */
  withoutSettings(): FlagValues {
    return new FlagValues(this.#values);
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
