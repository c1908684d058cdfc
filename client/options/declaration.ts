import { parseFlag, readEnvIfGranted } from "../../backends/common/platform.ts";
import { option, type OptionTypes, type Term } from "../../backends/credentials_backend_error.ts";
import { invalidOptions } from "../errors.ts";
import type { BearerKind, InitOptions, SignInFlow } from "../session_options.ts";

/**
 * The part that an option has in a call:
 *
 * | group | use |
 * |---|---|
 * | `identity` | names a sign-in at a provider, also for signing out |
 * | `client` | proves who the client is, at sign-in, refresh and revocation |
 * | `api_key` | takes the place of a sign-in |
 * | `person` | asks a person to sign in |
 * | `browser` | the same in the browser |
 * | `api` | calls the API |
 * | `model` | only in `init` |
 * | `code` | only code can give it |
 */
export type OptionGroup =
  | "identity"
  | "client"
  | "api_key"
  | "person"
  | "browser"
  | "api"
  | "model"
  | "code";

/** One option. It says what the option is, and never what is done with it. */
export interface OptionRow<T = unknown> {
  /** The kind of its values, or all values. */
  readonly type: Extract<OptionTypes[string], string> | readonly T[];
  readonly group: OptionGroup;
  /** One line of help. */
  readonly help: string;
  /** The variable that stands in for it. */
  readonly variable?: string;
  /** The purpose of the variable, as in "to …". */
  readonly reason?: string;
  /** The calls that need the variable where the option is absent. Elsewhere it is read if granted. */
  readonly requiredBy?: "every call" | "init";
  /** How many milliseconds a number in the variable stands for. */
  readonly unit?: number;
  /** The flag of the command line, without its dashes. */
  readonly flag?: string;
  /** The placeholder for the value of the flag; none where the flag has no value. */
  readonly value?: string;
  readonly secret?: true;
  readonly fallback?: T;
}

type Rows = { readonly [K in keyof Required<InitOptions>]: OptionRow<NonNullable<InitOptions[K]>> };

const FLOWS: readonly SignInFlow[] = ["auto", "device", "browser", "client_credentials"];
const BEARERS: readonly BearerKind[] = ["auto", "access_token", "id_token"];

/** A flag of the command line, with the placeholder for its value, and a line of help. */
const flag = <const Name extends string>(flag: Name, value: string, help: string) => ({
  flag,
  value,
  help,
});

const TEXT = { type: "text" } as const;
const IDENTITY = { ...TEXT, group: "identity" } as const;
const WHO = { ...TEXT, reason: "to know who signs in", requiredBy: "every call" } as const;
const SIGN_IN = { ...WHO, group: "identity" } as const;
const KEY = { ...WHO, group: "api_key", secret: true } as const;
const API = { ...TEXT, group: "api", reason: "to find the API", requiredBy: "init" } as const;
const ASKED = { ...IDENTITY, reason: "to know what to ask the provider for" } as const;
const WHICH = { ...IDENTITY, reason: "to know which sign-in is meant" } as const;
const PROOF = { group: "client", reason: "to know the client's secret or file, if any" } as const;
const BROWSER = { ...TEXT, group: "browser" } as const;
const BACK = { ...BROWSER, reason: "to know where the browser comes back to" } as const;
const FUNCTION = { type: "function", group: "code" } as const;

/** The options of `init` and `createSession`, in the order in which their variables are named. */
export const OPTIONS = {
  issuer: {
    ...SIGN_IN,
    variable: "VM_OIDC_ISSUER",
    ...flag("issuer", "URL", "the OpenID Provider to sign in at"),
  },
  clientId: {
    ...SIGN_IN,
    variable: "VM_OIDC_CLIENT_ID",
    ...flag("client-id", "ID", "the client to sign in with"),
  },
  apiKey: { ...KEY, variable: "VM_API_KEY", help: "the API key, in place of a sign-in" },
  apiSecret: { ...KEY, variable: "VM_API_SECRET", help: "the secret of the API key" },
  model: {
    ...TEXT,
    group: "model",
    variable: "VM_API_MODEL",
    reason: "to know the model",
    requiredBy: "init",
    help: "the model's CUID in ValidMind",
  },
  apiUrl: { ...API, variable: "VM_API_URL", help: "the same as apiHost, which it overrides" },
  apiHost: {
    ...API,
    variable: "VM_API_HOST",
    ...flag("api-host", "URL", "the API to call"),
  },
  scope: {
    ...ASKED,
    variable: "VM_OIDC_SCOPE",
    ...flag("scope", "SCOPE", "the scope to ask for, names separated by spaces"),
  },
  audience: {
    ...ASKED,
    type: "string", // an empty one means none
    variable: "VM_OIDC_AUDIENCE",
    ...flag("audience", "API", "the API that the token is for, where the provider asks for it"),
  },
  profile: {
    ...WHICH,
    variable: "VM_OIDC_PROFILE",
    ...flag(
      "profile",
      "NAME",
      "name of one of several sign-ins, and of its settings in the settings file",
    ),
  },
  flow: {
    ...WHICH,
    type: FLOWS,
    variable: "VM_OIDC_FLOW",
    fallback: "auto",
    ...flag("flow", "FLOW", "the way to sign in"),
  },
  dpop: {
    ...IDENTITY,
    type: "boolean",
    fallback: false,
    flag: "dpop",
    help: "tokens that are bound to a key (DPoP)",
  },
  clientSecret: {
    ...PROOF,
    ...TEXT,
    variable: "VM_OIDC_CLIENT_SECRET",
    secret: true,
    help: "the client's secret",
  },
  clientKeyFile: {
    ...PROOF,
    type: "path",
    variable: "VM_OIDC_CLIENT_KEY_FILE",
    help: "file with the client's private key",
  },
  clientAssertionFile: {
    ...PROOF,
    type: "path",
    variable: "VM_OIDC_CLIENT_ASSERTION_FILE",
    help: "file with an assertion about the client, which the platform renews",
  },
  interactive: {
    type: "boolean",
    group: "person",
    variable: "VM_OIDC_INTERACTIVE",
    reason: "to know whether a person may be asked",
    fallback: true,
    help: "whether a person may be asked to sign in",
  },
  redirectUri: {
    ...BACK,
    variable: "VM_OIDC_REDIRECT_URI",
    ...flag(
      "redirect-uri",
      "URI",
      "the address that the browser comes back to, as it is registered",
    ),
  },
  listen: {
    ...BACK,
    variable: "VM_OIDC_LISTEN",
    ...flag(
      "listen",
      "ADDRESS",
      "where to listen for the browser behind a proxy, or on one of several ports",
    ),
  },
  loginHint: {
    ...BROWSER,
    ...flag(
      "login-hint",
      "ACCOUNT",
      "the account to fill in on the provider's page, such as an e-mail",
    ),
  },
  authorizationParameters: {
    ...BROWSER,
    type: "texts",
    ...flag(
      "parameter",
      "NAME=VALUE",
      "a further parameter of the page of the sign-in, such as prompt=login; repeatable",
    ),
  },
  openBrowser: {
    type: "boolean",
    group: "person",
    flag: "open",
    help: "open the page of the sign-in in the browser",
  },
  timeoutMs: {
    type: "timeout",
    group: "api",
    variable: "VM_API_TIMEOUT",
    reason: "to know how long to wait",
    unit: 1000,
    fallback: 30_000,
    help: "time limit of one request, in milliseconds; of the variable in seconds",
  },
  bearer: { type: BEARERS, group: "api", fallback: "auto", help: "the token on requests" },
  document: { ...TEXT, group: "model", help: "type of the document to work on" },
  monitoring: { type: "boolean", group: "model", fallback: false, help: "ongoing monitoring" },
  credentialsBackend: { type: "object", group: "code", help: "the store of the tokens" },
  onDeviceCode: { ...FUNCTION, help: "shows link and code to the person" },
  onAuthorizationUrl: { ...FUNCTION, help: "shows the link to the person" },
  onEvent: { ...FUNCTION, help: "receives each step as an event" },
  fetch: { ...FUNCTION, help: "makes all requests" },
  signal: { type: "signal", group: "code", help: "cancels the sign-in" },
  now: { ...FUNCTION, help: "the clock, for tests" },
  delay: { ...FUNCTION, help: "the wait, for tests" },
} as const satisfies Rows;

export type OptionName = keyof Rows;

export const OPTION_NAMES = Object.keys(OPTIONS) as readonly OptionName[];

/** The row of an option. */
export function optionRow(name: OptionName): OptionRow {
  return OPTIONS[name];
}

/** The kinds of some options, to check values by. */
export function optionTypes(names: readonly OptionName[]): OptionTypes {
  return Object.fromEntries(names.map((name) => [name, OPTIONS[name].type]));
}

/** An option in a message, with its variable. */
export function named(name: OptionName, value?: string): Term {
  const { variable } = optionRow(name);
  return option(name, { ...(value !== undefined && { value }), ...(variable && { variable }) });
}

/** Gives values of the settings file, by the names of the options. */
export type Settings = (name: OptionName) => unknown;

const NO_SETTINGS: Settings = () => undefined;

/** A value and its source: an option's name, a variable, `settings` or `default`. */
export interface Found<T = unknown> {
  readonly value: T;
  readonly from: string;
}

/**
 * The value in force of an option: the argument, else the variable, else the settings file, else the
 * default.
 *
 * @param action The caller's action, as in "Cannot {action}".
 * @throws {ValidMindAuthError} `invalid_options` for a variable that does not fit.
 */
export function findOption<K extends OptionName>(
  name: K,
  given: Partial<Pick<InitOptions, K>>,
  action: string,
  settings: Settings = NO_SETTINGS,
): Found<NonNullable<InitOptions[K]>> | undefined {
  type Value = NonNullable<InitOptions[K]>;
  const found = (value: unknown, from: string) => ({ value: value as Value, from });
  const { variable, secret, fallback } = optionRow(name);
  if (given[name] !== undefined) return found(given[name], name);
  const text = variable === undefined ? undefined : readEnvIfGranted(variable);
  if (text !== undefined) return found(parseVariable(name, text, action), variable!);
  const setting = secret ? undefined : settings(name);
  if (setting !== undefined) return found(setting, "settings");
  return fallback === undefined ? undefined : found(fallback, "default");
}

/** The value alone. */
export function valueOf<K extends OptionName>(
  name: K,
  given: Partial<Pick<InitOptions, K>>,
  action: string,
): NonNullable<InitOptions[K]> | undefined {
  return findOption(name, given, action)?.value;
}

function parseVariable(name: OptionName, text: string, action: string): unknown {
  const { type, variable = name, unit = 1 } = optionRow(name);
  if (type === "boolean") return parseFlag(variable, text);
  const trimmed = text.trim();
  if (type === "timeout" && Number(trimmed) > 0) return Number(trimmed) * unit;
  const isChoice = typeof type !== "string";
  if (isChoice ? type.includes(trimmed) : type !== "timeout") return trimmed;
  const fitting = isChoice ? `one of ${type.join(", ")}` : "a number above 0";
  throw invalidOptions(`Cannot ${action}: ${variable} is not ${fitting}. Correct it, or unset it.`);
}
