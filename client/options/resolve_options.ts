import { delay as realDelay } from "../../backends/common/delay.ts";
import { parseFlag, readEnvIfGranted } from "../../backends/common/read_env.ts";
import type { AuthEvent } from "../auth_event.ts";
import { MissingModelIdError, ValidMindAuthError } from "../errors.ts";
import type { InitOptions, SessionOptions } from "../session_options.ts";
import type { Identity } from "./identity.ts";
import { assertReadable, headerValue, resolveIdentity, secureUrl } from "./resolve_identity.ts";
import type { Emit, Runtime } from "./runtime.ts";

const DEFAULT_API_HOST = "http://localhost:5000/api/v1/tracking/";
/** Timers that are to wait longer end at once. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** The options of one session with every default filled in. */
export interface ResolvedOptions {
  identity: Identity;
  /** With a trailing slash. */
  apiHost?: string;
  /** Whether a person may be asked. */
  interactive: boolean;
  runtime: Runtime;
}

/** The part of `init`'s options that is about the model. */
export interface ModelOptions {
  model: string;
  document?: string;
  monitoring: boolean;
}

/**
 * Checks the options and fills their defaults from the environment, before anything else happens.
 * What an option says is not looked up, and credentials of one kind that are passed as options are
 * not held against variables of the other kind: an explicit choice wins, and fewer names are read.
 *
 * @param action What cannot be done if it fails, as in "Cannot {action}".
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
      delay: options.delay ?? realDelay,
      timeoutMs: Math.min(options.timeoutMs ?? timeoutFromEnv(action) ?? 30_000, MAX_TIMEOUT_MS),
      emit: options.onEvent &&
        eventSink(options.onEvent, identity.kind === "oidc" ? identity : {}, now),
    },
  };
}

/** The same for `init`, which needs a model and has a default host. */
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

/** An unedited notebook's `apiKey: "..."` means: take all from the environment, as in Python. */
export function withoutPlaceholder<T extends SessionOptions>(options: T): T {
  if (options.apiKey !== "...") return options;
  const { apiKey: _, apiSecret: _1, apiHost: _2, apiUrl: _3, ...rest } = options;
  const { issuer: _4, clientId: _5, audience: _6, clientSecret: _7, ...others } = rest;
  return { ...others, model: undefined } as unknown as T;
}

function apiHost(host: string, action: string): string {
  const url = secureUrl(host.trim(), `${action}: the API host`);
  if (url.username !== "" || url.password !== "") {
    throw new ValidMindAuthError(
      "invalid_options",
      `Cannot ${action}: the API host has a user name or a password in it. Leave them out.`,
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
  throw new ValidMindAuthError(
    "invalid_options",
    `Cannot ${action}: VM_API_TIMEOUT is not a number of seconds. Set one above 0, or unset it.`,
  );
}

function missingModel(action: string): ValidMindAuthError {
  assertReadable(["VM_API_MODEL"], action);
  return new MissingModelIdError(
    `Cannot ${action}: there is no model. Pass model, or set VM_API_MODEL, to the model's CUID.`,
  );
}

/**
 * Hands events on to a caller's hook. What the hook throws, also later, is dropped: a log that fails
 * must not cost a sign-in, and there is no better place to tell it.
 */
export function eventSink(
  onEvent: (event: AuthEvent) => void,
  context: { issuer?: string; clientId?: string },
  now: () => number,
): Emit {
  const { issuer, clientId } = context;
  const whose = issuer === undefined || clientId === undefined ? {} : { issuer, clientId };
  return (detail) => {
    const event = { time: new Date(now()), ...whose, ...detail };
    Promise.try(onEvent, event).catch(() => undefined);
  };
}

const TYPES: Record<keyof InitOptions, string> = {
  issuer: "string",
  clientId: "string",
  clientSecret: "string",
  scope: "string",
  audience: "string",
  profile: "string",
  apiKey: "string",
  apiSecret: "string",
  apiHost: "string",
  apiUrl: "string",
  model: "string",
  document: "string",
  monitoring: "boolean",
  credentialsBackend: "object",
  isolate: "object",
  bearer: "string",
  dpop: "boolean",
  interactive: "boolean",
  onDeviceCode: "function",
  openBrowser: "boolean",
  onEvent: "function",
  fetch: "function",
  signal: "object",
  timeoutMs: "number",
  now: "function",
  delay: "function",
};

/** Names of the options that only `init` takes. */
const INIT_ONLY = ["model", "document", "monitoring"];

/** What an option's value is held to beyond its type. */
const CHECKS: Partial<Record<keyof InitOptions, (value: never, action: string) => void>> = {
  signal: checkSignal,
  bearer: checkBearer,
  timeoutMs: checkTimeout,
};

/**
 * Refuses unknown options, so that a slip of the pen is told and not ignored.
 *
 * @param isInit Whether the options that only `init` takes are known.
 */
export function checkOptionNames(options: unknown, isInit: boolean): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw invalid(isInit, "its options are not an object", "Pass { issuer, clientId, … }");
  }
  for (const name of Object.keys(options)) {
    if (!isKnown(name, isInit)) throw unknownOption(name, isInit);
  }
}

function isKnown(name: string, isInit: boolean): boolean {
  return Object.hasOwn(TYPES, name) && (isInit || !INIT_ONLY.includes(name));
}

function unknownOption(name: string, isInit: boolean): ValidMindAuthError {
  const known = Object.keys(TYPES).filter((name) => isKnown(name, isInit));
  const advice = INIT_ONLY.includes(name)
    ? "Use init() for ValidMind, or leave it out"
    : `It takes: ${known.join(", ")}`;
  return invalid(isInit, `unknown option "${name}"`, advice);
}

/**
 * Refuses values of a wrong type, and values that cannot be meant. No value is shown: it may be a
 * key.
 */
export function checkOptionTypes(options: SessionOptions, action: string): void {
  for (const [name, value] of Object.entries(options) as [keyof InitOptions, unknown][]) {
    if (value === undefined) continue;
    const isEmpty = typeof value === "string" && value.trim() === "";
    if (typeof value !== TYPES[name] || value === null || isEmpty) {
      throw wrongType(name, isEmpty, action);
    }
    CHECKS[name]?.(value as never, action);
  }
  if (options.openBrowser === true) checkPrompt(options, action);
}

function wrongType(
  name: keyof InitOptions,
  isEmpty: boolean,
  action: string,
): ValidMindAuthError {
  return new ValidMindAuthError(
    "invalid_options",
    `Cannot ${action}: option "${name}" is not ${
      isEmpty ? "a non-empty string" : `a ${TYPES[name]}`
    }. Correct it, or leave it out.`,
  );
}

function checkPrompt({ onDeviceCode }: SessionOptions, action: string): void {
  if (onDeviceCode === undefined) return;
  throw new ValidMindAuthError(
    "invalid_options",
    `Cannot ${action}: there are onDeviceCode and openBrowser. Give one: onDeviceCode replaces the ` +
      `prompt that opens the browser.`,
  );
}

function checkSignal(signal: unknown, action: string): void {
  if (signal instanceof AbortSignal) return;
  throw new ValidMindAuthError(
    "invalid_options",
    `Cannot ${action}: option "signal" is not an AbortSignal. Give that of an AbortController.`,
  );
}

function checkBearer(bearer: string, action: string): void {
  if (["auto", "access_token", "id_token"].includes(bearer)) return;
  throw new ValidMindAuthError(
    "invalid_options",
    `Cannot ${action}: option "bearer" is ${JSON.stringify(bearer)}. ` +
      `Give "auto", "access_token" or "id_token".`,
  );
}

/** Refuses what is no time to wait. */
export function checkTimeout(timeoutMs: number | undefined, action: string): void {
  if (timeoutMs === undefined || timeoutMs > 0) return;
  throw new ValidMindAuthError(
    "invalid_options",
    `Cannot ${action}: option "timeoutMs" is not above 0. Give milliseconds, or leave it out.`,
  );
}

function invalid(isInit: boolean, reason: string, advice: string): ValidMindAuthError {
  const owner = isInit ? "init()" : "createSession()";
  return new ValidMindAuthError("invalid_options", `Cannot call ${owner}: ${reason}. ${advice}.`);
}

/**
 * Refuses unknown options of a call, and values of a wrong type.
 *
 * @param types The type of each known option, as `typeof` says it; `"any"` for any.
 */
export function checkCallOptions(
  action: string,
  options: unknown,
  types: Record<string, string>,
): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw invalidCall(action, "its options are not an object", types);
  }
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(types, name)) throw invalidCall(action, `unknown option "${name}"`, types);
    const type = types[name]!;
    const isRight = value === undefined || type === "any" ||
      (typeof value === type && value !== null);
    if (typeof value === "string" && value.trim() === "") {
      throw invalidCall(action, `option "${name}" is an empty string`, types);
    }
    const article = type === "object" ? "an" : "a";
    if (!isRight) throw invalidCall(action, `option "${name}" is not ${article} ${type}`, types);
  }
}

function invalidCall(action: string, reason: string, types: Record<string, string>) {
  return new ValidMindAuthError(
    "invalid_options",
    `Cannot ${action}: ${reason}. It takes: ${Object.keys(types).join(", ")}.`,
  );
}
