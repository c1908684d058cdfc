import { delay as realDelay } from "../backends/delay.ts";
import { isEnvGranted, parseFlag, readEnvIfGranted } from "../backends/read_env.ts";
import {
  checkProfile,
  normalizeAudience,
  normalizeClientId,
  normalizeIssuer,
} from "./credential_key.ts";
import { type Emit, eventSink } from "./event_sink.ts";
import { bearerKind } from "./credentials.ts";
import { MissingApiCredentialsError, MissingModelIdError, ValidMindAuthError } from "./errors.ts";
import type { InitOptions, SessionOptions } from "./init_options.ts";
import { secureUrl } from "./secure_url.ts";

/** What is asked for where nobody says. */
export const DEFAULT_SCOPE = "openid profile email offline_access";
const DEFAULT_API_HOST = "http://localhost:5000/api/v1/tracking/";
/** Timers that are to wait longer end at once. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** A person who signs in at a provider. */
export interface OidcIdentity {
  kind: "oidc";
  issuer: string;
  clientId: string;
  /** As an option gave it; the variable is looked up where the provider is needed. */
  clientSecret?: string;
  audience?: string;
  profile?: string;
  scope: string;
  /** Whether tokens are bound to a key. */
  dpop?: boolean;
}

/** Who signs in, and how. */
export type Identity = OidcIdentity | { kind: "api_key"; apiKey: string; apiSecret: string };

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
      emit: eventSink(options.onEvent, identity.kind === "oidc" ? identity : {}, now),
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

/** Who signs in: by option, or by variable where no option says. */
export function resolveIdentity(options: SessionOptions, action: string): Identity {
  const hasOidcOption = options.issuer !== undefined || options.clientId !== undefined;
  const hasKeyOption = options.apiKey !== undefined || options.apiSecret !== undefined;
  const read = (option: string | undefined, name: string, wanted: boolean) =>
    option ?? (wanted ? readEnvIfGranted(name) : undefined);
  const issuer = read(options.issuer, "VM_OIDC_ISSUER", !hasKeyOption);
  const clientId = read(options.clientId, "VM_OIDC_CLIENT_ID", !hasKeyOption);
  const apiKey = read(options.apiKey, "VM_API_KEY", !hasOidcOption);
  const apiSecret = read(options.apiSecret, "VM_API_SECRET", !hasOidcOption);
  const hasOidc = issuer !== undefined || clientId !== undefined;
  if (hasOidc && (hasKeyOption || (apiKey !== undefined && apiSecret !== undefined))) {
    throw conflict(action);
  }
  if (hasOidc) return oidcIdentity(options, issuer, clientId, action);
  if (apiKey !== undefined && apiSecret !== undefined) {
    if (options.dpop) throw noDpop(action, "an API key cannot be bound to one", "Leave dpop out");
    return {
      kind: "api_key",
      apiKey: headerValue(apiKey, "apiKey (VM_API_KEY)", action),
      apiSecret: headerValue(apiSecret, "apiSecret (VM_API_SECRET)", action),
    };
  }
  throw missingCredentials(action, hasKeyOption);
}

function oidcIdentity(
  options: SessionOptions,
  issuer: string | undefined,
  clientId: string | undefined,
  action: string,
): Identity {
  if (issuer === undefined || clientId === undefined) {
    const [have, lack, option, variable] = issuer === undefined
      ? ["client id", "issuer", "issuer", "VM_OIDC_ISSUER"]
      : ["issuer", "client id", "clientId", "VM_OIDC_CLIENT_ID"];
    assertReadable([variable], action);
    throw new ValidMindAuthError(
      "invalid_options",
      `Cannot ${action}: there is an ${have === "issuer" ? have : `OAuth ${have}`} without ` +
        `${lack === "issuer" ? "an issuer" : "a client id"}. Pass ${option} or set ${variable}.`,
    );
  }
  const { dpop = false, bearer = "auto" } = options;
  if (dpop && bearerKind(bearer, checkIssuer(normalizeIssuer(issuer), action)) === "id_token") {
    throw noDpop(
      action,
      "the ID token is to be the bearer, which cannot be",
      'Set bearer: "access_token", or leave dpop out',
    );
  }
  const audience = normalizeAudience(options.audience ?? readEnvIfGranted("VM_OIDC_AUDIENCE"));
  const profile = options.profile ?? readEnvIfGranted("VM_OIDC_PROFILE");
  const scope = options.scope ?? readEnvIfGranted("VM_OIDC_SCOPE") ?? DEFAULT_SCOPE;
  return {
    kind: "oidc",
    issuer: checkIssuer(normalizeIssuer(issuer), action),
    clientId: nonEmpty(normalizeClientId(clientId), "clientId", action),
    ...(options.clientSecret !== undefined && { clientSecret: options.clientSecret }),
    ...(audience !== undefined && { audience }),
    ...(profile !== undefined && { profile: checkProfile(profile, action) }),
    scope: nonEmpty(scope.trim().split(/\s+/).join(" "), "scope", action),
    ...(dpop && { dpop }),
  };
}

/** The issuer itself is kept to the letter: a URL object would rewrite it, and with it the key. */
export function checkIssuer(issuer: string, action: string): string {
  const url = secureUrl(issuer, `${action}: the issuer`);
  if (url.search === "" && url.hash === "" && url.username === "" && url.password === "") {
    return issuer;
  }
  throw new ValidMindAuthError(
    "invalid_options",
    `Cannot ${action}: the issuer has a query, a fragment or a password in it. ` +
      `Give the issuer identifier alone, as the provider's discovery document states it.`,
  );
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

function nonEmpty(value: string, name: string, action: string): string {
  if (value !== "") return value;
  throw new ValidMindAuthError(
    "invalid_options",
    `Cannot ${action}: ${name} is empty. Give a value, or leave it out.`,
  );
}

/** Refused here, since the error of `Headers` comes after the sign-in and quotes the value. */
function headerValue(value: string, name: string, action: string): string {
  if (/^[\t\x20-\x7e\xa0-\xff]*$/.test(value)) return value;
  throw new ValidMindAuthError(
    "invalid_options",
    `Cannot ${action}: ${name} has a character that no HTTP header can carry. Correct it.`,
  );
}

function noDpop(action: string, reason: string, advice: string): ValidMindAuthError {
  return new ValidMindAuthError(
    "invalid_options",
    `Cannot ${action}: tokens are to be bound to a key (dpop), and ${reason}. ${advice}.`,
  );
}

function conflict(action: string): ValidMindAuthError {
  return new ValidMindAuthError(
    "conflicting_credentials",
    `Cannot ${action}: there are an API key and OIDC settings. Give either apiKey and apiSecret ` +
      `(VM_API_KEY, VM_API_SECRET) or issuer and clientId (VM_OIDC_ISSUER, VM_OIDC_CLIENT_ID).`,
  );
}

function missingCredentials(action: string, hasKeyOption: boolean): ValidMindAuthError {
  const names = hasKeyOption
    ? ["VM_API_KEY", "VM_API_SECRET"]
    : ["VM_OIDC_ISSUER", "VM_OIDC_CLIENT_ID", "VM_API_KEY", "VM_API_SECRET"];
  assertReadable(names, action);
  return new MissingApiCredentialsError(
    `Cannot ${action}: there are no credentials. Give issuer and clientId (or VM_OIDC_ISSUER and ` +
      `VM_OIDC_CLIENT_ID) to sign in as a person, or apiKey and apiSecret (or VM_API_KEY and ` +
      `VM_API_SECRET).`,
  );
}

function missingModel(action: string): ValidMindAuthError {
  assertReadable(["VM_API_MODEL"], action);
  return new MissingModelIdError(
    `Cannot ${action}: there is no model. Pass model, or set VM_API_MODEL, to the model's CUID.`,
  );
}

/** What is missing may stand in a variable that Deno denies: then that is the error. */
function assertReadable(names: string[], action: string): void {
  const denied = names.filter((name) => !isEnvGranted(name));
  if (denied.length === 0) return;
  throw new ValidMindAuthError(
    "permission_required",
    `Cannot ${action}: a needed option is not given, and its variable may not be read. ` +
      `Run with --allow-env=${denied.join(",")}, or pass the option.`,
  );
}
