import type { OptionTypes } from "../../backends/common/check_options.ts";
import { parseFlag } from "../../backends/common/environment.ts";
import { invalidOptions } from "../errors.ts";
import type { InitOptions } from "../session_options.ts";

/** The part that an option has in a call, and the purpose of reading its variable. */
export const GROUPS = {
  /** Names a sign-in at a provider, also for signing out. */
  identity: "to read the options of the sign-in",
  /** Proves who the client is, at sign-in, refresh and revocation. */
  client: "to read the client's proof",
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
  /**
   * Its part in the origin of a sign-in. Without one it counts beside the issuer, client or key of its
   * place alone.
   *
   * - `name`: it names the sign-in;
   * - `proof`: one of several ways to prove the client;
   * - `subject`: the token that is exchanged;
   * - `free`: it is of no sign-in;
   * - `person`: the same, and a key does not ask a person.
   */
  readonly part?: "name" | "proof" | "subject" | "free" | "person";
  /** Whether it is a part of the key of a stored sign-in that a person names. */
  readonly isInKey?: true;
  /** Whether a platform fills the file, which may give it to a group. */
  readonly isOfPlatform?: true;
  /** Whether an unedited notebook has a placeholder for it. */
  readonly hasPlaceholder?: true;
  /** The option that it replaces where one place gives both. */
  readonly winsOver?: keyof InitOptions;
  /** The option that replaces it so. */
  readonly yieldsTo?: keyof InitOptions;
  /** Whether the settings file does not have it, although it is no secret. */
  readonly isNoSetting?: true;
  /** One line of help. */
  readonly help: string;
  /** The variable that stands in for it. */
  readonly variable?: string;
  /** The calls that need the variable where the option is absent. Elsewhere it is read if granted. */
  readonly requiredBy?: "every call" | "init";
  /** The flag of the command line, without its dashes. */
  readonly flag?: string;
  /** The placeholder for the value of the flag; none where the flag has no value. */
  readonly value?: string;
  readonly secret?: true;
}

type Rows = { readonly [K in keyof Required<InitOptions>]: OptionRow<NonNullable<InitOptions[K]>> };

/** A flag of the command line, with the placeholder for its value, and a line of help. */
const flag = <const Name extends string>(flag: Name, value: string, help: string) => ({
  flag,
  value,
  help,
});

const PLACEHOLDER = { hasPlaceholder: true } as const;
const IDENTITY = { type: "text", group: "identity" } as const;
const IN_KEY = { ...IDENTITY, isInKey: true } as const;
const SIGN_IN = { ...IN_KEY, ...PLACEHOLDER, part: "name", requiredBy: "every call" } as const;
/** As in Python, an empty one means none. */
const KEY = { ...PLACEHOLDER, type: "string", group: "api_key", secret: true } as const;
const API = { ...PLACEHOLDER, type: "text", group: "api", requiredBy: "init" } as const;
const CLIENT = { ...PLACEHOLDER, type: "path", group: "client" } as const;
const PROOF = { ...CLIENT, part: "proof" } as const;
const BROWSER = { type: "text", group: "browser" } as const;
const FREE = { part: "free" } as const;
const PERSON = { type: "boolean", group: "person", part: "person" } as const;
const MODEL = { ...FREE, type: "text", group: "model" } as const;
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
  apiKey: {
    ...KEY,
    part: "name",
    requiredBy: "every call",
    variable: "VM_API_KEY",
    help: "the API key, in place of a sign-in",
  },
  apiSecret: {
    ...KEY,
    winsOver: "apiSecretFile",
    requiredBy: "every call",
    variable: "VM_API_SECRET",
    help: "the secret of the API key",
  },
  apiSecretFile: {
    ...KEY, // it belongs to a key that is a secret
    type: "path",
    yieldsTo: "apiSecret",
    variable: "VM_API_SECRET_FILE",
    help: "file with the secret of the API key",
  },
  model: {
    ...MODEL,
    ...PLACEHOLDER,
    requiredBy: "init",
    variable: "VM_API_MODEL",
    help: "the model's CUID",
  },
  apiUrl: {
    ...API,
    winsOver: "apiHost",
    isNoSetting: true,
    variable: "VM_API_URL",
    help: "the same as apiHost, and wins over it",
  },
  apiHost: {
    ...API,
    yieldsTo: "apiUrl",
    variable: "VM_API_HOST",
    ...flag("api-host", "URL", "the API to call"),
  },
  scope: {
    ...IDENTITY,
    variable: "VM_OIDC_SCOPE",
    ...flag("scope", "SCOPE", "the scope to ask for"),
  },
  audience: {
    ...IN_KEY,
    ...PLACEHOLDER,
    type: "string",
    variable: "VM_OIDC_AUDIENCE",
    ...flag("audience", "API", "the API of the token; empty: none"),
  },
  profile: {
    ...IN_KEY,
    ...FREE,
    isNoSetting: true,
    variable: "VM_OIDC_PROFILE",
    ...flag("profile", "NAME", "the name of a sign-in and its settings"),
  },
  flow: {
    ...IN_KEY,
    type: ["auto", "device", "browser", "client_credentials", "token_exchange"],
    variable: "VM_OIDC_FLOW",
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
    isOfPlatform: true,
    variable: "VM_OIDC_CLIENT_ASSERTION_FILE",
    help: "file with an assertion",
  },
  clientAssertion: {
    ...PROOF,
    type: "text or function",
    variable: "VM_OIDC_CLIENT_ASSERTION",
    secret: true,
    help: "an assertion about the client, or github",
  },
  subjectTokenFile: {
    ...CLIENT,
    part: "subject",
    isOfPlatform: true,
    variable: "VM_OIDC_SUBJECT_TOKEN_FILE",
    help: "file with the token to exchange",
  },
  interactive: {
    ...PERSON,
    variable: "VM_OIDC_INTERACTIVE",
    help: "whether a person may be asked to sign in",
  },
  reauthenticate: {
    ...PERSON,
    type: ["never", "ask"],
    help: "ask the person if the API demands it",
  },
  redirectUri: {
    ...BROWSER,
    variable: "VM_OIDC_REDIRECT_URI",
    ...flag("redirect-uri", "URI", "the registered redirect URI of the browser flow"),
  },
  listen: {
    ...BROWSER,
    ...FREE,
    variable: "VM_OIDC_LISTEN",
    ...flag("listen", "ADDRESS", "the loopback address to listen at"),
  },
  loginHint: {
    ...BROWSER,
    ...flag("login-hint", "ACCOUNT", "the account to fill in on the page"),
  },
  authorizationParameters: {
    ...BROWSER,
    type: "texts",
    ...flag("parameter", "NAME=VALUE", "a parameter of the sign-in page; repeatable"),
  },
  openBrowser: { ...PERSON, flag: "open", help: "open the page of the sign-in in the browser" },
  debug: {
    ...PERSON,
    ...FREE,
    variable: "VM_AUTH_DEBUG",
    flag: "debug",
    help: "show each step on standard error",
  },
  timeoutMs: {
    ...FREE,
    type: "timeout",
    group: "api",
    variable: "VM_API_TIMEOUT",
    help: "time limit of a request in ms (variable: in s)",
  },
  bearer: {
    type: ["auto", "access_token", "id_token"],
    group: "api",
    ...flag("bearer", "KIND", "the kind of token for requests"),
  },
  document: { ...MODEL, help: "type of the document to work on" },
  monitoring: { ...MODEL, type: "boolean", help: "whether it is ongoing monitoring" },
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

/** The settings that are not options: the store by its name. */
const STORE_SETTINGS = {
  backend: { type: "text", group: "code", flag: "backend", help: "" },
  backendOptions: { type: "object", group: "code", flag: "backend-options", help: "" },
} as const satisfies Record<string, OptionRow>;

export const STORE_NAMES = Object.keys(STORE_SETTINGS) as (keyof typeof STORE_SETTINGS)[];

/** An option, or the store by its name and options. */
export type SettingName = OptionName | typeof STORE_NAMES[number];

const ROWS = { ...OPTIONS, ...STORE_SETTINGS };

/** The row of an option, or of a setting. */
export function optionRow(name: SettingName): OptionRow {
  return ROWS[name];
}

/** All settings by their names in the file: what code and variables may give, but no secret. */
export const SETTINGS: readonly SettingName[] = [
  ...OPTION_NAMES.filter((name) => {
    const { group, secret, isNoSetting } = optionRow(name);
    return group !== "code" && !secret && !isNoSetting;
  }),
  ...STORE_NAMES,
];

/** The options whose rows have these fields. */
type NamesWith<Fields> = {
  [K in OptionName]: typeof OPTIONS[K] extends Fields ? K : never;
}[OptionName];

function namesWith<const F extends Partial<OptionRow>>(fields: F) {
  const [[field, value]] = Object.entries(fields) as [[keyof OptionRow, unknown]];
  const names = OPTION_NAMES.filter((name) => optionRow(name)[field] === value);
  return names as NamesWith<F>[];
}

/** The options by which a client proves who it is. */
export const PROOFS = namesWith({ part: "proof" });
/** The options that name a stored sign-in. */
export const KEY_PARTS = namesWith({ isInKey: true });
/** The options of the sign-in in the browser. */
export const BROWSER_OPTIONS = namesWith({ group: "browser" });
/** The options of an API key. */
export const API_KEY = namesWith({ group: "api_key" });

/** The options of which one place gives one: proofs of the client, and an option with its double. */
export function alternativesOf(name: OptionName): readonly OptionName[] {
  const { part, yieldsTo, winsOver } = optionRow(name);
  if (part === "proof") return PROOFS;
  return [yieldsTo, name, winsOver].filter((one) => one !== undefined);
}

/** The way to the values of a sign-in in the browser that are read late. */
export const COMPLETE: unique symbol = Symbol("complete");

/** Whether the variable of an option is read by a sign-in in the browser alone. */
export function isLate({ group, variable }: OptionRow): boolean {
  return group === "browser" && variable !== undefined;
}

/** Whether an option belongs to a sign-in as such, and so to a sign-out, too. */
export function isOfIdentity({ group }: OptionRow): boolean {
  return group === "identity" || group === "client";
}

/** The option or setting that a person names as code does (`clientId`), or as flags do (`client-id`). */
export function optionNamed(word: string): SettingName | undefined {
  const letters = (text: string) => text.replaceAll("-", "").toLowerCase();
  return [...OPTION_NAMES, ...STORE_NAMES].find((name) =>
    letters(name) === letters(word) || optionRow(name).flag === word
  );
}

/** The kinds of some options or settings, to check values by. */
export function optionTypes(names: readonly SettingName[]): OptionTypes {
  return Object.fromEntries(names.map((name) => [name, ROWS[name].type]));
}

/** An option by all its names, for a message: "issuer (VM_OIDC_ISSUER, --issuer)". */
export function named(name: OptionName, value?: string | boolean): string {
  const { variable, flag } = optionRow(name);
  const others = [variable, flag && `--${flag}`].filter((other) => other !== undefined);
  let text: string = name;
  if (value !== undefined) text += `: ${JSON.stringify(value)}`;
  if (others.length > 0) text += ` (${others.join(", ")})`;
  return text;
}

/** The names of a sign-in, for a message. */
export const SIGN_IN_WORDS = `${named("issuer")} and ${named("clientId")}`;
/** The parts of an API key, for a message. */
export const KEY_WORDS = `${named("apiKey")} and ${named("apiSecret")}`;

/**
 * The value of a variable's text.
 *
 * @param action The caller's action, as in "Cannot {action}".
 * @throws {ValidMindAuthError} `invalid_options` for a text that does not fit.
 */
export function parseVariable(name: OptionName, text: string, action: string): unknown {
  const { type, variable = name } = optionRow(name);
  if (type === "boolean") return parseFlag(variable, text);
  const word = text.trim();
  const refuse = (fitting: string) =>
    invalidOptions(action, `${variable} is not ${fitting}`, "Correct it, or unset it.");
  if (type === "timeout") {
    if (Number(word) > 0) return Number(word) * 1000; // a variable has seconds
    throw refuse("a number above 0");
  }
  if (typeof type === "string" || type.includes(word)) return word;
  throw refuse(`one of ${type.join(", ")}`);
}
