import { ValidMindAuthError } from "./errors.ts";
import type { InitOptions, SessionOptions } from "./init_options.ts";

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
