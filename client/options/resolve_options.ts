import { checkOptions, type OptionTypes } from "../../backends/common/check_options.ts";
import { readEnvIfGranted } from "../../backends/common/environment.ts";
import { isGranted } from "../../backends/common/permission.ts";
import {
  type Clock,
  type Delay,
  delay as realDelay,
  LONGEST_TIMER_MS,
  type Stopwatch,
} from "../../backends/common/promises.ts";
import { isDeno } from "../../backends/common/runtime.ts";
import type { NamedBackend } from "../../backends/resolve_credentials_backend.ts";
import type { AuthEvent, AuthEventDetail } from "../auth_event.ts";
import { invalidOptions, MissingModelIdError } from "../errors.ts";
import type { InitOptions } from "../session_options.ts";
import {
  named,
  OPTION_NAMES,
  type OptionName,
  optionRow,
  optionTypes,
  settingsPath,
  valueOf,
} from "./declaration.ts";
import { headerValue, type Identity, resolveIdentity, secureUrl } from "./resolve_identity.ts";

/** Sends one event to the caller's `onEvent`. `debug` alone shows the error behind it. */
type Emit = (detail: AuthEventDetail, error?: unknown) => void;

/** A session's means of making requests, telling the time and waiting. */
export interface Runtime {
  fetch: typeof globalThis.fetch;
  now: Clock;
  /** The same as `now` where the caller gave a clock. */
  elapsed: Stopwatch;
  delay: Delay;
  timeoutMs: number;
  /** By how many seconds the provider's clock is ahead of this computer's, by its last answer. */
  skew?: number | undefined;
  /** The secrets that the session knows, present and former: no message may repeat one. */
  secrets: Set<string>;
  /** Only where the caller gave `onEvent` or `debug`. */
  emit?: Emit | undefined;
}

const DEFAULT_API_HOST = "http://localhost:5000/api/v1/tracking/";

/** Loaded where there is a settings file. */
const loadSettings = () => import("./settings_file.ts");

/** Names another settings file among options: for the command line. */
export const SETTINGS_FILE: unique symbol = Symbol("settings file");

/**
 * Gives options the values of the settings file where neither they nor variables decide. Where the file
 * may not be read it is passed over, unless the options name it.
 *
 * @returns The options, and the backend that the file names.
 * @throws {ValidMindAuthError} `settings_invalid` for a file that cannot be used.
 */
export async function withSettings<T extends Partial<InitOptions>>(
  options: T,
): Promise<{ options: T; named?: NamedBackend | undefined }> {
  const { [SETTINGS_FILE]: file } = options as { [SETTINGS_FILE]?: string };
  if (file === undefined && !isSettingsThere()) return { options };
  const { backendOf, readSettings, valuesOf } = await loadSettings();
  const settings = readSettings(options as Record<string, unknown>, file);
  const { backend: _, backendOptions: _1, ...values } = valuesOf(settings);
  // Last, since an option may be there and undefined.
  return { options: { ...options, ...values }, named: backendOf(settings) };
}

function isSettingsThere(): boolean {
  const path = isDeno ? settingsPath() : "";
  if (path === "" || !isGranted({ name: "read", path })) return false;
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.NotFound);
  }
}

/** The options of one session with their defaults. */
export interface ResolvedOptions {
  identity: Identity;
  /** With a trailing slash. */
  apiHost?: string;
  /** Whether the host is the default one, which nobody may have meant. */
  isDefaultHost?: boolean;
  /** Whether a person may be asked to sign in. */
  interactive: boolean;
  runtime: Runtime;
  /** Only for `init`. */
  modelOptions?: ModelOptions;
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
 * @param options As {@linkcode checkSessionOptions} gives them.
 * @param action The caller's action, as in "Cannot {action}".
 * @param isInit Whether it is `init`, which requires a model and has a default host.
 */
export function resolveOptions(
  options: InitOptions,
  action: string,
  isInit: boolean = false,
): ResolvedOptions {
  const identity = resolveIdentity(options, action);
  const runtime = runtimeOf(options, action);
  const { onEvent } = options;
  const isOidc = identity.kind === "oidc";
  const owner = isOidc ? { issuer: identity.issuer, clientId: identity.clientId } : {};
  const sinks = [
    ...onEvent ? [(event: AuthEvent) => onEvent(event)] : [],
    ...valueOf("debug", options, action) ? [showEvent] : [],
  ];
  if (sinks.length > 0) runtime.emit = eventSink(sinks, owner, runtime.now);
  const host = options.apiUrl ?? options.apiHost ?? valueOf("apiUrl", {}, action) ??
    valueOf("apiHost", {}, action) ?? (isInit ? DEFAULT_API_HOST : undefined);
  return {
    identity,
    interactive: isOidc && (valueOf("interactive", options, action) ?? !isUnattended(options)),
    runtime,
    ...(host !== undefined && { apiHost: apiHost(host, action) }),
    ...(host === DEFAULT_API_HOST && { isDefaultHost: true }),
    ...(isInit && { modelOptions: resolveModel(options, action) }),
  };
}

/** Whether nobody can see the built-in prompt: in a job. A missing terminal alone proves nothing. */
function isUnattended({ onDeviceCode, onAuthorizationUrl }: InitOptions): boolean {
  return (onDeviceCode ?? onAuthorizationUrl) === undefined && readEnvIfGranted("CI") === "true" &&
    !(isDeno && (Deno.stdin.isTerminal() || Deno.stderr.isTerminal()));
}

/** The means of a session, or of a sign-out without one. */
export function runtimeOf(options: Partial<InitOptions>, action: string): Runtime {
  return {
    fetch: options.fetch ?? globalThis.fetch,
    now: options.now ?? Date.now,
    elapsed: options.now ?? (() => performance.now()),
    delay: options.delay ?? realDelay,
    timeoutMs: Math.min(valueOf("timeoutMs", options, action)!, LONGEST_TIMER_MS),
    secrets: new Set(),
  };
}

function resolveModel(options: InitOptions, action: string): ModelOptions {
  const { document, monitoring = false } = options;
  const model = valueOf("model", options, action);
  if (model === undefined) {
    throw new MissingModelIdError({
      action,
      reason: "there is no model",
      remedy: `Give ${named("model")}, the model's CUID.`,
    });
  }
  return {
    model: headerValue(model, "model", action),
    ...(document !== undefined && { document: headerValue(document, "document", action) }),
    monitoring,
  };
}

/** `apiKey: "..."`, the placeholder of an unedited notebook, leaves these to the environment, too. */
const BEHIND_PLACEHOLDER = ["apiHost", "apiUrl", "model", "issuer", "clientId", "audience"];

function apiHost(host: string, action: string): string {
  const url = secureUrl(host.trim(), named("apiHost"), action);
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url.href;
}

/** Sends events to functions, whose errors are ignored: a log must not end a sign-in. */
export function eventSink(
  sinks: readonly ((event: AuthEvent, error?: unknown) => void)[],
  owner: Pick<AuthEvent, "issuer" | "clientId">,
  now: Clock,
): Emit {
  return (detail, error) => {
    const event = { time: new Date(now()), ...owner, ...detail };
    for (const sink of sinks) Promise.try(sink, event, error).catch(() => undefined);
  };
}

/** Writes an event to standard error, with the error behind it if it is one of this module: no secret. */
function showEvent(
  { time, type, issuer: _, clientId: _1, ...facts }: AuthEvent,
  error?: unknown,
): void {
  const words = Object.entries(facts).map(([name, value]) =>
    `${name}=${value instanceof Date ? value.toISOString() : value}`
  );
  // deno-lint-ignore no-console -- a notebook shows no other standard error
  console.error(
    [time.toISOString(), "validmind-auth", type, ...words].join(" "),
    ...("code" in facts && error instanceof Error ? [error] : []),
  );
}

/**
 * Refuses unknown options, and values that do not fit.
 *
 * @param isInit Whether the options of `init` alone are known.
 * @returns The options that count beside the placeholder of an API key, as in Python.
 */
export function checkSessionOptions(
  options: InitOptions,
  action: string,
  isInit: boolean,
): InitOptions {
  const known = OPTION_NAMES.filter((name) => isInit || optionRow(name).group !== "model");
  checkCallOptions(action, options, optionTypes(known));
  if (options.apiKey !== "...") return options;
  const isKept = ([name]: [string, unknown]) =>
    !["api_key", "client"].includes(optionRow(name as OptionName).group) &&
    !BEHIND_PLACEHOLDER.includes(name);
  return Object.fromEntries(Object.entries(options).filter(isKept));
}

/** Refuses unknown options of a call, and values that do not fit. */
export function checkCallOptions(action: string, options: unknown, types: OptionTypes): void {
  checkOptions(action, options, types, invalidOptions);
}
