import { checkOptions, type OptionTypes, words } from "../../backends/credentials_backend_error.ts";
import {
  type Clock,
  delay as realDelay,
  LONGEST_TIMER_MS,
} from "../../backends/common/promises.ts";
import type { AuthEvent } from "../auth_event.ts";
import { invalidOptions, MissingModelIdError } from "../errors.ts";
import type { InitOptions, SessionOptions } from "../session_options.ts";
import { named, OPTION_NAMES, OPTIONS, optionTypes, valueOf } from "./declaration.ts";
import type { ClientAuthOptions, Identity } from "./identity.ts";
import {
  CLIENT_AUTH,
  clientAuthOf,
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
  const host = given.apiUrl ?? given.apiHost ?? valueOf("apiUrl", {}, action) ??
    valueOf("apiHost", {}, action);
  return {
    identity,
    ...(host !== undefined && { apiHost: apiHost(host, action) }),
    interactive: identity.kind === "oidc" && valueOf("interactive", options, action)!,
    runtime: {
      fetch: options.fetch ?? globalThis.fetch,
      now,
      elapsed: options.now ?? (() => performance.now()),
      delay: options.delay ?? realDelay,
      timeoutMs: Math.min(valueOf("timeoutMs", options, action)!, LONGEST_TIMER_MS),
      secrets: new Set(),
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
  const model = valueOf("model", withoutPlaceholder(options), action);
  if (model === undefined) {
    throw new MissingModelIdError(
      words`Cannot ${action}: there is no model. Give ${named("model")}, the model's CUID.`,
    );
  }
  return {
    apiHost: DEFAULT_API_HOST,
    ...resolved,
    model: headerValue(model, "model", action),
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
  const rest = Object.entries(options).filter(([name]) => !BEHIND_PLACEHOLDER.includes(name));
  return Object.fromEntries(rest) as T;
}

const BEHIND_PLACEHOLDER: readonly string[] = [
  ...[
    "apiKey",
    "apiSecret",
    "apiHost",
    "apiUrl",
    "model",
    "issuer",
    "clientId",
    "audience",
  ] as const,
  ...CLIENT_AUTH,
];

function apiHost(host: string, action: string): string {
  const url = secureUrl(host.trim(), words`${action}: ${named("apiHost")}`);
  if (url.username !== "" || url.password !== "") {
    throw invalidOptions(
      words`Cannot ${action}: ${named("apiHost")} has a user name or a password in it. Leave them
        out.`,
    );
  }
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url.href;
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
  const names = OPTION_NAMES.filter((name) => isInit || OPTIONS[name].group !== "model");
  checkCallOptions(action, options, optionTypes(names));
  checkClientAuth(options, action);
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
