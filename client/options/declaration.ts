import { BACKEND_VARIABLES } from "../../backends/common/backend_choice.ts";
import { didYouMean, type OptionTypes } from "../../backends/common/check_options.ts";
import {
  getEnv,
  HOME_VARIABLE,
  isEnvGranted,
  parseFlag,
  readEnvIfGranted,
} from "../../backends/common/environment.ts";
import { isGranted } from "../../backends/common/permission.ts";
import { credentialsPath } from "../../backends/file.ts";
import { invalidOptions } from "../errors.ts";
import type { InitOptions } from "../session_options.ts";

/** The part that an option has in a call, and the purpose of reading its variable. */
export const GROUPS = {
  /** Names a sign-in at a provider, also for signing out. */
  identity: "to read the options of the sign-in",
  /** Proves who the client is, at sign-in, refresh and revocation. */
  client: "to read the client's secret, or its file's path",
  /** Takes the place of a sign-in. */
  api_key: "to read the API key",
  person: "to choose the prompt and the debug lines",
  browser: "to read the redirect URI and the address to listen at",
  api: "to read the options of the API",
  /** Only in `init`. */
  model: "to read the model",
  /** Only code can give it. */
  code: "",
} as const;

/** One option. It says what the option is, and never what is done with it. */
export interface OptionRow<T = unknown> {
  /** The kind of its values, or all values. */
  readonly type: Extract<OptionTypes[string], string> | readonly T[];
  readonly group: keyof typeof GROUPS;
  /** One line of help. */
  readonly help: string;
  /** The variable that stands in for it. */
  readonly variable?: string;
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

/** A flag of the command line, with the placeholder for its value, and a line of help. */
const flag = <const Name extends string>(flag: Name, value: string, help: string) => ({
  flag,
  value,
  help,
});

const IDENTITY = { type: "text", group: "identity" } as const;
const SIGN_IN = { ...IDENTITY, requiredBy: "every call" } as const;
/** As in Python, an empty one means none. */
const KEY = { type: "string", group: "api_key", requiredBy: "every call", secret: true } as const;
const API = { type: "text", group: "api", requiredBy: "init" } as const;
const PROOF = { type: "path", group: "client" } as const;
const BROWSER = { type: "text", group: "browser" } as const;
const PERSON = { type: "boolean", group: "person" } as const;
const MODEL = { type: "text", group: "model" } as const;
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
  apiSecretFile: {
    type: "path",
    group: "api_key",
    variable: "VM_API_SECRET_FILE",
    secret: true, // it belongs to a key that is one
    help: "file with the secret of the API key",
  },
  model: { ...MODEL, requiredBy: "init", variable: "VM_API_MODEL", help: "the model's CUID" },
  apiUrl: { ...API, variable: "VM_API_URL", help: "the same as apiHost; it wins over apiHost" },
  apiHost: { ...API, variable: "VM_API_HOST", ...flag("api-host", "URL", "the API to call") },
  scope: {
    ...IDENTITY,
    variable: "VM_OIDC_SCOPE",
    ...flag("scope", "SCOPE", "the scope to ask for, names separated by spaces"),
  },
  audience: {
    ...IDENTITY,
    type: "string",
    variable: "VM_OIDC_AUDIENCE",
    ...flag("audience", "API", "the API of the token, if the provider needs it; empty: none"),
  },
  profile: {
    ...IDENTITY,
    variable: "VM_OIDC_PROFILE",
    ...flag("profile", "NAME", "the name of one of several sign-ins, and of its settings"),
  },
  flow: {
    ...IDENTITY,
    type: ["auto", "device", "browser", "client_credentials", "token_exchange"],
    variable: "VM_OIDC_FLOW",
    fallback: "auto",
    ...flag("flow", "FLOW", "how to sign in"),
  },
  dpop: { ...IDENTITY, type: "boolean", flag: "dpop", help: "bind the tokens to a key (DPoP)" },
  clientSecret: {
    ...PROOF,
    type: "text",
    variable: "VM_OIDC_CLIENT_SECRET",
    secret: true,
    help: "the client's secret",
  },
  clientSecretFile: {
    ...PROOF,
    variable: "VM_OIDC_CLIENT_SECRET_FILE",
    help: "file with the client's secret",
  },
  clientKeyFile: {
    ...PROOF,
    variable: "VM_OIDC_CLIENT_KEY_FILE",
    help: "file with the client's private key",
  },
  clientAssertionFile: {
    ...PROOF,
    variable: "VM_OIDC_CLIENT_ASSERTION_FILE",
    help: "file with an assertion, which the platform renews",
  },
  clientAssertion: {
    ...PROOF,
    type: "text or function",
    variable: "VM_OIDC_CLIENT_ASSERTION",
    secret: true,
    help: "an assertion about the client, or github in GitHub Actions",
  },
  subjectTokenFile: {
    ...PROOF,
    variable: "VM_OIDC_SUBJECT_TOKEN_FILE",
    help: "file with the token to exchange, which a program renews",
  },
  interactive: {
    ...PERSON,
    variable: "VM_OIDC_INTERACTIVE",
    help: "whether a person may be asked to sign in",
  },
  redirectUri: {
    ...BROWSER,
    variable: "VM_OIDC_REDIRECT_URI",
    ...flag("redirect-uri", "URI", "the redirect URI of the browser flow, as it is registered"),
  },
  listen: {
    ...BROWSER,
    variable: "VM_OIDC_LISTEN",
    ...flag("listen", "ADDRESS", "the loopback address to listen at, such as behind a proxy"),
  },
  loginHint: {
    ...BROWSER,
    ...flag("login-hint", "ACCOUNT", "the account to fill in on the page, such as an e-mail"),
  },
  authorizationParameters: {
    ...BROWSER,
    type: "texts",
    ...flag("parameter", "NAME=VALUE", "a further parameter of the sign-in page; repeatable"),
  },
  openBrowser: { ...PERSON, flag: "open", help: "open the page of the sign-in in the browser" },
  debug: {
    ...PERSON,
    variable: "VM_AUTH_DEBUG",
    flag: "debug",
    help: "show each step on standard error, without secrets",
  },
  timeoutMs: {
    type: "timeout",
    group: "api",
    variable: "VM_API_TIMEOUT",
    unit: 1000,
    fallback: 30_000,
    help: "time limit of one request in milliseconds; the variable: in seconds",
  },
  bearer: {
    type: ["auto", "access_token", "id_token"],
    group: "api",
    ...flag("bearer", "KIND", "the kind of token for requests"),
  },
  document: { ...MODEL, help: "type of the document to work on" },
  monitoring: { ...MODEL, type: "boolean", help: "whether the calls belong to ongoing monitoring" },
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

/** The option that a person names as code does (`clientId`), or as flags do (`client-id`). */
export function optionNamed(word: string): OptionName | undefined {
  const letters = (text: string) => text.replaceAll("-", "").toLowerCase();
  return OPTION_NAMES.find((name) =>
    letters(name) === letters(word) || optionRow(name).flag === word
  );
}

/** A sentence for each variable that is nearly one of this module's, where all may be read. */
export function misspelledVariables(): string {
  if (!isGranted({ name: "env" })) return "";
  const own = OPTION_NAMES.map((name) => optionRow(name).variable ?? "");
  const known = [...own, ...Object.values(BACKEND_VARIABLES), "VM_AUTH_CONFIG"];
  return Object.keys(Deno.env.toObject())
    .filter((name) => /^VM_(OIDC|API|AUTH)_/.test(name) && !known.includes(name))
    .map((name) => {
      const hint = didYouMean(name, known);
      return hint && ` ${name} is set. ${hint}`;
    }).join("");
}

/** The kinds of some options, to check values by. */
export function optionTypes(names: readonly OptionName[]): OptionTypes {
  return Object.fromEntries(names.map((name) => [name, OPTIONS[name].type]));
}

/** An option by all its names, for a message: "issuer (VM_OIDC_ISSUER, --issuer)". */
export function named(name: OptionName, value?: string | boolean): string {
  const { variable, flag } = optionRow(name);
  const others = [variable, flag && `--${flag}`].filter((other) => other !== undefined);
  const shown = value === undefined ? name : `${name}: ${JSON.stringify(value)}`;
  return others.length === 0 ? shown : `${shown} (${others.join(", ")})`;
}

/**
 * The place of the settings file: beside the file of the default store, which the same person owns, or
 * where `VM_AUTH_CONFIG` says. Empty where that is empty, or the home folder is not known.
 */
export function settingsPath(): string {
  const named = isEnvGranted("VM_AUTH_CONFIG") ? getEnv("VM_AUTH_CONFIG") : undefined;
  if (named !== undefined) return named.trim();
  if (readEnvIfGranted(HOME_VARIABLE) === undefined) return "";
  return credentialsPath().replace(/credentials\.json$/, "settings.json");
}

/**
 * The value in force of an option: the argument, else the variable, else the default. Where the settings
 * file decides, its value is an argument already: see `withSettings`.
 *
 * @param action The caller's action, as in "Cannot {action}".
 * @throws {ValidMindAuthError} `invalid_options` for a variable that does not fit.
 */
export function valueOf<K extends OptionName>(
  name: K,
  given: Partial<Pick<InitOptions, K>>,
  action: string,
): NonNullable<InitOptions[K]> | undefined {
  const { variable, fallback } = optionRow(name);
  if (given[name] !== undefined) return given[name];
  const text = variable === undefined ? undefined : readEnvIfGranted(variable);
  const value = text === undefined ? fallback : parseVariable(name, text, action);
  return value as NonNullable<InitOptions[K]> | undefined;
}

function parseVariable(name: OptionName, text: string, action: string): unknown {
  const { type, variable = name, unit = 1 } = optionRow(name);
  if (type === "boolean") return parseFlag(variable, text);
  const trimmed = text.trim();
  if (type === "timeout" && Number(trimmed) > 0) return Number(trimmed) * unit;
  const isChoice = typeof type !== "string";
  if (isChoice ? type.includes(trimmed) : type !== "timeout") return trimmed;
  const fitting = isChoice ? `one of ${type.join(", ")}` : "a number above 0";
  throw invalidOptions({
    action,
    reason: `${variable} is not ${fitting}`,
    remedy: "Correct it, or unset it.",
  });
}
