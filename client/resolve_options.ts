import { delay as realDelay } from "../backends/delay.ts";
import { parseFlag, readEnvIfGranted } from "../backends/read_env.ts";
import type { AuthEvent, AuthEventDetail } from "./auth_event.ts";
import { MissingModelIdError, ValidMindAuthError } from "./errors.ts";
import type { InitOptions, SessionOptions } from "./init_options.ts";
import {
  assertReadable,
  headerValue,
  type Identity,
  resolveIdentity,
  secureUrl,
} from "./resolve_identity.ts";

const DEFAULT_API_HOST = "http://localhost:5000/api/v1/tracking/";
/** Timers that are to wait longer end at once. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** What makes requests and tells time. */
export interface Runtime {
  fetch: typeof globalThis.fetch;
  now: () => number;
  delay: (ms: number, signal?: AbortSignal) => Promise<void>;
  timeoutMs: number;
  /** Tells what happens, where somebody listens. */
  emit?: Emit | undefined;
}

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

/** Tells what happened. */
export type Emit = (detail: AuthEventDetail) => void;

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
