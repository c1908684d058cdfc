import { checkOptions, type OptionTypes } from "../../backends/credentials_backend_error.ts";
import {
  type Clock,
  delay as realDelay,
  LONGEST_TIMER_MS,
} from "../../backends/common/promises.ts";
import { readEnvIfGranted } from "../../backends/common/platform.ts";
import { parseFlag } from "../../backends/common/printable.ts";
import type { AuthEvent } from "../auth_event.ts";
import { invalidOptions, MissingModelIdError } from "../errors.ts";
import type { InitOptions, SessionOptions } from "../session_options.ts";
import type { ClientAuthOptions, Identity } from "./identity.ts";
import {
  assertReadable,
  clientAuthOf,
  FLOWS,
  headerValue,
  resolveIdentity,
  secureUrl,
} from "./resolve_identity.ts";
import type { Emit, Runtime } from "./runtime.ts";

const DEFAULT_API_HOST = "http://localhost:5000/api/v1/tracking/";

/** The options of one session with their defaults. */
export interface ResolvedOptions {
  identity: Identity;
  /** With a trailing slash. */
  apiHost?: string;
  /** Whether a person may be asked to sign in. */
  interactive: boolean;
  runtime: Runtime;
}

/** The options of `init` for the model. */
export interface ModelOptions {
  model: string;
  document?: string;
  monitoring: boolean;
}

/**
 * Checks the options and fills in their defaults from the environment. An option wins over its
 * variable, which is then not read. OIDC options make the API-key variables irrelevant, and the
 * reverse.
 *
 * @param action The caller's action, as in "Cannot {action}".
 */
export function resolveOptions(options: SessionOptions, action: string): ResolvedOptions {
  const given = withoutPlaceholder(options);
  const identity = resolveIdentity(given, action);
  const now = options.now ?? Date.now;
  const host = given.apiUrl ?? given.apiHost ?? readEnvIfGranted("VM_API_URL") ??
    readEnvIfGranted("VM_API_HOST");
  return {
    identity,
    ...(host !== undefined && { apiHost: apiHost(host, action) }),
    interactive: identity.kind === "oidc" && (options.interactive ?? interactiveFromEnv()),
    runtime: {
      fetch: options.fetch ?? globalThis.fetch,
      now,
      elapsed: options.now ?? (() => performance.now()),
      delay: options.delay ?? realDelay,
      timeoutMs: Math.min(options.timeoutMs ?? timeoutFromEnv(action) ?? 30_000, LONGEST_TIMER_MS),
      emit: options.onEvent &&
        eventSink(options.onEvent, identity.kind === "oidc" ? identity : {}, now),
    },
  };
}

/** The same for `init`, which requires a model and has a default host. */
export function resolveInitOptions(
  options: InitOptions,
  action: string,
): ResolvedOptions & ModelOptions {
  const { document, monitoring = false } = options;
  const resolved = resolveOptions(options, action);
  const model = withoutPlaceholder(options).model ?? readEnvIfGranted("VM_API_MODEL");
  if (model === undefined) throw missingModel(action);
  return {
    apiHost: DEFAULT_API_HOST,
    ...resolved,
    model: headerValue(model, "model (VM_API_MODEL)", action),
    ...(document !== undefined && { document: headerValue(document, "document", action) }),
    monitoring,
  };
}

/**
 * The options without those that `apiKey: "..."`, the placeholder of an unedited notebook, leaves to
 * the environment, as in Python.
 */
export function withoutPlaceholder<T extends SessionOptions>(options: T): T {
  if (options.apiKey !== "...") return options;
  const { apiKey: _, apiSecret: _1, apiHost: _2, apiUrl: _3, ...rest } = options;
  const { issuer: _4, clientId: _5, audience: _6, ...others } = rest;
  const { clientSecret: _7, clientKeyFile: _8, clientAssertionFile: _9, ...more } = others;
  return { ...more, model: undefined } as unknown as T;
}

function apiHost(host: string, action: string): string {
  const url = secureUrl(host.trim(), `${action}: apiHost (VM_API_HOST)`);
  if (url.username !== "" || url.password !== "") {
    throw invalidOptions(
      `Cannot ${action}: apiHost (VM_API_HOST) has a user name or a password in it. Leave them out.`,
    );
  }
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url.href;
}

function interactiveFromEnv(): boolean {
  return parseFlag("VM_OIDC_INTERACTIVE", readEnvIfGranted("VM_OIDC_INTERACTIVE")) ?? true;
}

function timeoutFromEnv(action: string): number | undefined {
  const text = readEnvIfGranted("VM_API_TIMEOUT");
  if (text === undefined) return undefined;
  const seconds = Number(text);
  if (seconds > 0) return seconds * 1000;
  throw invalidOptions(
    `Cannot ${action}: VM_API_TIMEOUT is not a number of seconds. Set one above 0, or unset it.`,
  );
}

function missingModel(action: string): MissingModelIdError {
  assertReadable(["VM_API_MODEL"], action);
  return new MissingModelIdError(
    `Cannot ${action}: there is no model. Pass model, or set VM_API_MODEL, to the model's CUID.`,
  );
}

/** Sends events to a caller's `onEvent`, whose errors are ignored: a log must not end a sign-in. */
export function eventSink(
  onEvent: (event: AuthEvent) => void,
  context: { issuer?: string; clientId?: string },
  now: Clock,
): Emit {
  const { issuer, clientId } = context;
  const owner = issuer === undefined || clientId === undefined ? {} : { issuer, clientId };
  return (detail) => {
    const event = { time: new Date(now()), ...owner, ...detail };
    Promise.try(onEvent, event).catch(() => undefined);
  };
}

type Types<Name extends string> = Readonly<Record<Name, OptionTypes[string]>>;

const SESSION_TYPES: Types<keyof SessionOptions> = {
  issuer: "text",
  clientId: "text",
  clientSecret: "text",
  clientKeyFile: "path",
  clientAssertionFile: "path",
  scope: "text",
  audience: "string", // an empty one means none
  profile: "text",
  apiKey: "text",
  apiSecret: "text",
  apiHost: "text",
  apiUrl: "text",
  credentialsBackend: "object",
  bearer: ["auto", "access_token", "id_token"],
  dpop: "boolean",
  flow: FLOWS,
  interactive: "boolean",
  onDeviceCode: "function",
  onAuthorizationUrl: "function",
  redirectUri: "text",
  listen: "text",
  loginHint: "text",
  authorizationParameters: "object",
  openBrowser: "boolean",
  onEvent: "function",
  fetch: "function",
  signal: "signal",
  timeoutMs: "timeout",
  now: "function",
  delay: "function",
};

const MODEL_TYPES: Types<Exclude<keyof InitOptions, keyof SessionOptions>> = {
  model: "text",
  document: "text",
  monitoring: "boolean",
};

/**
 * Refuses unknown options, values that do not fit, and options that exclude each other.
 *
 * @param isInit Whether the options of `init` alone are known.
 */
export function checkSessionOptions(
  options: SessionOptions,
  action: string,
  isInit: boolean,
): void {
  const ofModel = isInit
    ? undefined
    : Object.keys(MODEL_TYPES).find((name) => name in Object(options));
  if (ofModel !== undefined) {
    throw invalidOptions(
      `Cannot ${action}: option "${ofModel}" belongs to init(). Use init() for ValidMind, or leave ` +
        `it out.`,
    );
  }
  checkCallOptions(action, options, isInit ? { ...SESSION_TYPES, ...MODEL_TYPES } : SESSION_TYPES);
  checkClientAuth(options, action);
  const { flow, openBrowser, onDeviceCode, onAuthorizationUrl } = options;
  const shows = onDeviceCode ? "onDeviceCode" : onAuthorizationUrl && "onAuthorizationUrl";
  const asks = openBrowser === true ? "openBrowser" : shows;
  if (flow === "client_credentials" && asks !== undefined) {
    throw invalidOptions(
      `Cannot ${action}: flow "client_credentials" asks nobody, so ${asks} would do nothing. Leave it ` +
        `out.`,
    );
  }
  if (openBrowser !== true || shows === undefined) return;
  throw invalidOptions(
    `Cannot ${action}: ${shows} and openBrowser exclude each other. Give one: ${shows} ` +
      `replaces the prompt that opens the browser.`,
  );
}

/** Refuses more than one way for a client to prove who it is. */
export function checkClientAuth(options: ClientAuthOptions, action: string): void {
  const [one, other] = Object.keys(clientAuthOf(options));
  if (other === undefined) return;
  throw invalidOptions(
    `Cannot ${action}: ${one} and ${other} exclude each other. Give the one that the provider knows ` +
      `the client by.`,
  );
}

/** Refuses unknown options of a call, and values that do not fit. */
export function checkCallOptions(action: string, options: unknown, types: OptionTypes): void {
  checkOptions(action, options, types, invalidOptions);
}
