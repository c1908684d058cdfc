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

export const FLOWS: readonly SignInFlow[] = ["auto", "device", "browser", "client_credentials"];
const BEARERS: readonly BearerKind[] = ["auto", "access_token", "id_token"];

const WHO = { reason: "to know who signs in", requiredBy: "every call" } as const;
const ASKED = { reason: "to know what to ask the provider for" };
const WHICH = { reason: "to know which sign-in is meant" };
const CLIENT = { group: "client", reason: "to know the client's secret or file, if any" } as const;
const BACK = { group: "browser", reason: "to know where the browser comes back to" } as const;
const API = { group: "api", reason: "to find the API", requiredBy: "init" } as const;

/** The options of `init` and `createSession`, in the order in which their variables are named. */
export const OPTIONS = {
  issuer: {
    type: "text",
    group: "identity",
    variable: "VM_OIDC_ISSUER",
    ...WHO,
    flag: "issuer",
    value: "URL",
    help: "the OpenID Provider to sign in at",
  },
  clientId: {
    type: "text",
    group: "identity",
    variable: "VM_OIDC_CLIENT_ID",
    ...WHO,
    flag: "client-id",
    value: "ID",
    help: "the client to sign in with",
  },
  apiKey: {
    type: "text",
    group: "api_key",
    variable: "VM_API_KEY",
    ...WHO,
    secret: true,
    help: "the API key, in place of a sign-in",
  },
  apiSecret: {
    type: "text",
    group: "api_key",
    variable: "VM_API_SECRET",
    ...WHO,
    secret: true,
    help: "the secret of the API key",
  },
  model: {
    type: "text",
    group: "model",
    variable: "VM_API_MODEL",
    reason: "to know the model",
    requiredBy: "init",
    help: "the model's CUID in ValidMind",
  },
  apiUrl: {
    type: "text",
    variable: "VM_API_URL",
    ...API,
    help: "the same as apiHost, which it overrides",
  },
  apiHost: {
    type: "text",
    variable: "VM_API_HOST",
    ...API,
    flag: "api-host",
    value: "URL",
    help: "the API to call",
  },
  scope: {
    type: "text",
    group: "identity",
    variable: "VM_OIDC_SCOPE",
    ...ASKED,
    flag: "scope",
    value: "SCOPE",
    help: "the scope to ask for, names separated by spaces",
  },
  audience: {
    type: "string", // an empty one means none
    group: "identity",
    variable: "VM_OIDC_AUDIENCE",
    ...ASKED,
    flag: "audience",
    value: "API",
    help: "the API that the token is for, where the provider asks for it",
  },
  profile: {
    type: "text",
    group: "identity",
    variable: "VM_OIDC_PROFILE",
    ...WHICH,
    flag: "profile",
    value: "NAME",
    help: "name of one of several sign-ins, and of its settings in the settings file",
  },
  flow: {
    type: FLOWS,
    group: "identity",
    variable: "VM_OIDC_FLOW",
    ...WHICH,
    flag: "flow",
    value: "FLOW",
    fallback: "auto",
    help: "the way to sign in",
  },
  dpop: {
    type: "boolean",
    group: "identity",
    flag: "dpop",
    fallback: false,
    help: "tokens that are bound to a key (DPoP)",
  },
  clientSecret: {
    type: "text",
    variable: "VM_OIDC_CLIENT_SECRET",
    ...CLIENT,
    secret: true,
    help: "the client's secret",
  },
  clientKeyFile: {
    type: "path",
    variable: "VM_OIDC_CLIENT_KEY_FILE",
    ...CLIENT,
    help: "file with the client's private key",
  },
  clientAssertionFile: {
    type: "path",
    variable: "VM_OIDC_CLIENT_ASSERTION_FILE",
    ...CLIENT,
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
    type: "text",
    variable: "VM_OIDC_REDIRECT_URI",
    ...BACK,
    flag: "redirect-uri",
    value: "URI",
    help: "the address that the browser comes back to, as it is registered",
  },
  listen: {
    type: "text",
    variable: "VM_OIDC_LISTEN",
    ...BACK,
    flag: "listen",
    value: "ADDRESS",
    help: "where to listen for the browser behind a proxy, or on one of several ports",
  },
  loginHint: {
    type: "text",
    group: "browser",
    flag: "login-hint",
    value: "ACCOUNT",
    help: "the account to fill in on the provider's page, such as an e-mail address",
  },
  authorizationParameters: {
    type: "texts",
    group: "browser",
    flag: "parameter",
    value: "NAME=VALUE",
    help: "a further parameter of the page of the sign-in, such as prompt=login; repeatable",
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
  bearer: {
    type: BEARERS,
    group: "api",
    fallback: "auto",
    help: "the token that goes on requests",
  },
  document: { type: "text", group: "model", help: "type of the document to work on" },
  monitoring: {
    type: "boolean",
    group: "model",
    fallback: false,
    help: "whether the calls belong to ongoing monitoring",
  },
  credentialsBackend: { type: "object", group: "code", help: "the store of the tokens" },
  onDeviceCode: { type: "function", group: "code", help: "shows link and code to the person" },
  onAuthorizationUrl: { type: "function", group: "code", help: "shows the link to the person" },
  onEvent: { type: "function", group: "code", help: "receives each step as an event" },
  fetch: { type: "function", group: "code", help: "makes all requests" },
  signal: { type: "signal", group: "code", help: "cancels the sign-in" },
  now: { type: "function", group: "code", help: "the clock, for tests" },
  delay: { type: "function", group: "code", help: "the wait, for tests" },
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
