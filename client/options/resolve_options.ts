import { checkOptions, type OptionTypes } from "../../backends/common/check_options.ts";
import { readEnvIfGranted } from "../../backends/common/environment.ts";
import { isLoopback } from "../../backends/common/host.ts";
import { given } from "../../backends/common/json.ts";
import {
  type Clock,
  type Delay,
  delay as realDelay,
  LONGEST_TIMER_MS,
  type Stopwatch,
} from "../../backends/common/promises.ts";
import type { ErrorParts } from "../../backends/credentials_backend_error.ts";
import { isDeno, quoteArgument } from "../../backends/common/runtime.ts";
import type { AuthEvent, AuthEventDetail } from "../auth_event.ts";
import {
  type ApiDemand,
  invalidOptions,
  MissingModelIdError,
  ValidMindAuthError,
} from "../errors.ts";
import type { SignInOptions } from "../session.ts";
import type { InitOptions } from "../session_options.ts";
import {
  named,
  OPTION_NAMES,
  type OptionName,
  optionRow,
  optionTypes,
  PROOFS,
  SIGN_IN_WORDS,
} from "./declaration.ts";
import type { CallOrigin } from "./places.ts";
import {
  headerValue,
  type Identity,
  type OidcIdentity,
  passedReason,
  resolveIdentity,
  secureUrl,
  settingsHint,
} from "./resolve_identity.ts";
import { USUAL_SETTINGS } from "./settings_path.ts";

/** Gets the events of a session. `debug` alone shows the error behind one. */
type Sink = (event: AuthEvent, error?: unknown) => void;

/** Sends one event to all sinks of a session. */
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
  skew?: number;
  /** The secrets that the session knows, present and former: no message may repeat one. */
  secrets: Set<string>;
  /** Only where the caller gave `onEvent` or `debug`. */
  emit?: Emit;
}

const LOCAL_API_HOST = "http://localhost:5000/api/v1/tracking/";

/** The options of one session with their defaults. */
export interface ResolvedOptions {
  identity: Identity;
  /** With a trailing slash. */
  apiHost?: string;
  /** Why the API of another place does not count, in words. Only without `apiHost`. */
  passedHost?: string;
  /** Why no person may be asked, in words. */
  silencedBy: string | undefined;
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
 * Checks the options and fills in their defaults.
 *
 * @param options The values in force: see `Origin.complete`.
 * @param action The caller's action, as in "Cannot {action}".
 * @param isInit Whether it is `init`, which requires a model and an API.
 * @param places The places of the values, for an error that tells what was passed over.
 */
export function resolveOptions(
  options: InitOptions,
  action: string,
  isInit: boolean,
  places?: CallOrigin,
): ResolvedOptions {
  const identity = resolveIdentity(options, action, places);
  checkProof(identity, places);
  const runtime = runtimeOf(options);
  const { onEvent, debug } = options;
  const sinks: Sink[] = [];
  if (onEvent) sinks.push((event) => onEvent(event));
  if (debug) sinks.push(showEvent);
  const { issuer, clientId } = identity as Partial<OidcIdentity>;
  if (sinks.length > 0) runtime.emit = eventSink(sinks, given({ issuer, clientId }), runtime.now);
  let host = options.apiUrl ?? options.apiHost;
  if (isInit && host === undefined) host = localHost(identity, action, places);
  return {
    identity,
    silencedBy: silencerIn(options, places),
    runtime,
    ...(host === undefined
      ? given({ passedHost: passedHost(places) })
      : { apiHost: apiHost(host, action) }),
    ...(isInit && { modelOptions: resolveModel(options, action) }),
  };
}

/** The API on a developer's own computer. Anywhere else somebody has to name it. */
function localHost(identity: Identity, action: string, places?: CallOrigin) {
  const isLocal = identity.kind === "oidc" && isLoopback(new URL(identity.issuer).hostname);
  // Whether a place was passed over is asked last: it reads variables.
  if (!isLocal || passedHost(places) !== undefined) throw apiHostMissing(action, places);
  return LOCAL_API_HOST;
}

function passedHost(places?: CallOrigin) {
  return passedReason("apiUrl", places) ?? passedReason("apiHost", places);
}

/** The error for a call that needs an API, where no place names one that counts. */
export function apiHostMissing(action: string, places?: CallOrigin): ValidMindAuthError {
  const { settings, profile } = places ?? {};
  const passed = passedHost(places);
  let file = "";
  if (passed === undefined) {
    const there = profile ? ` --profile ${quoteArgument(profile)}` : "";
    const command = `validmind-auth config set api-host URL${there}`;
    file = `, or "apiHost" in the settings file ${settings?.path || USUAL_SETTINGS} (${command})`;
  }
  return new ValidMindAuthError("api_host_missing", {
    action,
    reason: passed ?? "no API is named",
    remedy: `Give ${named("apiHost")}${file}; your administrator knows it.${settingsHint(places)}`,
  });
}

/** Refuses a flow of the client alone whose proof or token was passed over. */
function checkProof(identity: Identity, places?: CallOrigin) {
  if (identity.kind === "api_key") return;
  const { flow, proof, subjectTokenFile } = identity;
  const needed: OptionName[] = [];
  if (flow === "client_credentials" && proof === undefined) needed.push(...PROOFS);
  if (flow === "token_exchange" && subjectTokenFile === undefined) needed.push("subjectTokenFile");
  for (const name of needed) {
    const reason = passedReason(name, places);
    const remedy = `Give ${named(name)} beside ${SIGN_IN_WORDS}.`;
    if (reason !== undefined) {
      const action = `use ${named("flow", flow)}`;
      throw new ValidMindAuthError("client_auth_unusable", { action, reason, remedy });
    }
  }
}

/** Why no person may be asked, in words; nothing where one may be. */
function silencerIn(options: InitOptions, places?: CallOrigin) {
  const { interactive = !isUnattended(options) } = options;
  if (interactive) return undefined;
  const found = places?.origin.find("interactive");
  if (found === undefined) return "CI is set, and there is no terminal";
  return `${named("interactive")} is false in ${found.place.words}`;
}

/** Whether nobody can see the built-in prompt: in a job. A missing terminal alone proves nothing. */
function isUnattended({ onDeviceCode, onAuthorizationUrl }: InitOptions) {
  const ci = readEnvIfGranted("CI") ?? "";
  const isJob = !["", "0", "false"].includes(ci.toLowerCase()); // some say 1, or their own name
  return isJob && (onDeviceCode ?? onAuthorizationUrl) === undefined &&
    !(isDeno && (Deno.stdin.isTerminal() || Deno.stderr.isTerminal()));
}

/** The means of a session, or of a sign-out without one. */
export function runtimeOf(options: Partial<InitOptions>): Runtime {
  const { timeoutMs = 30_000 } = options;
  return {
    fetch: options.fetch ?? globalThis.fetch,
    now: options.now ?? Date.now,
    elapsed: options.now ?? (() => performance.now()),
    delay: options.delay ?? realDelay,
    timeoutMs: Math.min(timeoutMs, LONGEST_TIMER_MS),
    secrets: new Set(),
  };
}

function resolveModel(options: InitOptions, action: string) {
  const { model, document, monitoring = false } = options;
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

function apiHost(host: string, action: string) {
  const url = secureUrl(host.trim(), named("apiHost"), action);
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url.href;
}

/** Sends events to functions, whose errors are ignored: a log must not end a sign-in. */
export function eventSink(
  sinks: readonly Sink[],
  owner: Pick<AuthEvent, "issuer" | "clientId">,
  now: Clock,
): Emit {
  return (detail, error) => {
    const event = { time: new Date(now()), ...owner, ...detail };
    for (const sink of sinks) void Promise.try(sink, event, error).catch(() => undefined);
  };
}

/** Writes an event to standard error, with the error behind it if it is one of this module: no secret. */
function showEvent({ time, type, issuer: _, clientId: _1, ...facts }: AuthEvent, error?: unknown) {
  const line = [time.toISOString(), "validmind-auth", type, JSON.stringify(facts)].join(" ");
  const shown: unknown[] = [line];
  if ("code" in facts && error instanceof Error) shown.push(error);
  // deno-lint-ignore no-console -- a notebook shows no other standard error
  console.error(...shown);
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
  // The caller may change its own object while a call waits.
  if (options.apiKey !== "...") return { ...options };
  const kept = Object.entries(options).filter(([name]) =>
    optionRow(name as OptionName).hasPlaceholder === undefined
  );
  return Object.fromEntries(kept);
}

/** The demand of an API for which a person is to sign in. */
export function demandIn(action: string, options: SignInOptions): ApiDemand {
  checkCallOptions(action, options, { for: "object", signal: "signal" });
  if (options.for?.demand) return options.for.demand;
  throw invalidOptions(action, "the error has no demand of an API", "Give one that has it.");
}

/** Refuses unknown options of a call, and values that do not fit. */
export function checkCallOptions(action: string, options: unknown, types: OptionTypes): void {
  const fail = (parts: ErrorParts) => new ValidMindAuthError("invalid_options", parts);
  checkOptions(action, options, types, fail);
}
