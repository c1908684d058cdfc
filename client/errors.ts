import { knowCopies, showCaller, showCode } from "../backends/common/error_class.ts";
import { causeFrom } from "../backends/common/foreign_error.ts";
import { given } from "../backends/common/json.ts";
import { permissionFlag } from "../backends/common/permission.ts";
import {
  causeOf,
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
  type ErrorParts,
  messageOf,
} from "../backends/credentials_backend_error.ts";

/**
 * Reason of a {@linkcode ValidMindAuthError}, stable over releases:
 *
 * | code | meaning |
 * |---|---|
 * | `invalid_options` | an option or variable is unknown or has a wrong value |
 * | `settings_invalid` | the settings file is damaged, or has an unknown key or a wrong value |
 * | `refused_by_settings` | the superuser's settings file does not name this issuer or store |
 * | `conflicting_credentials` | an API key and OIDC together |
 * | `missing_api_credentials` | neither an API key nor issuer and client id |
 * | `missing_model` | `init()` without a model |
 * | `api_host_missing` | nobody names the API, and the provider is not on this computer |
 * | `insecure_url` | `http:` on a host that is not loopback |
 * | `permission_required` | Deno denies a permission; the message names the flag |
 * | `no_active_session` | `init()` was not called, or its session was cleared |
 * | `session_closed` | the session was closed |
 * | `no_access_token` | the session uses an API key |
 * | `login_required` | a person has to sign in, and may not be asked now |
 * | `package_missing` | a registry did not give the code of a sign-in or a refresh |
 * | `provider_unavailable` | the provider gave no usable answer; trying again may help |
 * | `provider_refused` | the provider refused: see `kind` and `oauthError` |
 * | `provider_invalid` | an answer of the provider is wrong or unsafe |
 * | `device_flow_unsupported` | the provider offers no device flow to this client |
 * | `client_auth_unusable` | the client's secret, key or assertion, the API secret or the token to exchange is missing or unusable |
 * | `flow_unsupported` | the chosen `flow` cannot work at this provider or on this computer |
 * | `device_code_denied` | the person or a policy refused the sign-in |
 * | `device_code_expired` | the sign-in was not approved in time |
 * | `authorization_denied` | the person or a policy refused the sign-in in the browser |
 * | `authorization_expired` | the sign-in in the browser did not end in time |
 * | `address_refused` | the address is not from this sign-in, was used already, comes too late, or tells that the scopes are refused |
 * | `redirect_unavailable` | this process cannot listen at the redirect URI, for example because the port is taken |
 * | `prompt_failed` | the code or the link could not be shown |
 * | `id_token_invalid` | the ID token failed its checks |
 * | `id_token_missing` | the provider sent no ID token, which is the bearer |
 * | `dpop_unsupported` | `dpop` is on, and the provider does not bind tokens |
 * | `dpop_request_needed` | headers with a bound token need the method and URL of the request |
 * | `credentials_not_stored` | new tokens could not be stored; they stay usable in this process |
 * | `wrong_origin` | a request to another origin than the API's |
 * | `api_unreachable` | the API did not answer |
 * | `api_metadata_invalid` | the API publishes no metadata, or metadata that must not be used |
 * | `reauthentication_required` | the API wants a stronger or newer sign-in, or more scope: an `ApiError` with `demand` |
 * | `demand_unmet` | the provider has signed the person in, and not as the API demands |
 * | `api_error` | the API answered with an error status: an `ApiError` |
 * | `unauthorized` | the API answered 401: an `ApiError` |
 *
 * @category Errors
 */
export type ValidMindAuthErrorCode =
  | "invalid_options"
  | "settings_invalid"
  | "refused_by_settings"
  | "conflicting_credentials"
  | "missing_api_credentials"
  | "missing_model"
  | "api_host_missing"
  | "insecure_url"
  | "permission_required"
  | "no_active_session"
  | "session_closed"
  | "no_access_token"
  | "login_required"
  | "package_missing"
  | "provider_unavailable"
  | "provider_refused"
  | "provider_invalid"
  | "device_flow_unsupported"
  | "client_auth_unusable"
  | "flow_unsupported"
  | "device_code_denied"
  | "device_code_expired"
  | "authorization_denied"
  | "authorization_expired"
  | "address_refused"
  | "redirect_unavailable"
  | "prompt_failed"
  | "id_token_invalid"
  | "id_token_missing"
  | "dpop_unsupported"
  | "dpop_request_needed"
  | "credentials_not_stored"
  | "wrong_origin"
  | "api_unreachable"
  | "api_metadata_invalid"
  | "reauthentication_required"
  | "demand_unmet"
  | "api_error"
  | "unauthorized";

/**
 * The meaning of a provider's refusal. Every provider words it otherwise.
 *
 * | kind | meaning |
 * |---|---|
 * | `wait` | not yet: ask again |
 * | `fault` | nothing is decided: the provider is ill or busy, or somebody else answered |
 * | `flow` | this client may not use this grant here |
 * | `client` | the client is unknown or off, or its proof fails |
 * | `scope` | the scope is not to be had |
 * | `denied` | a person or a policy said no |
 * | `over` | this refresh token or code will never work again |
 * | `refused` | any other no, and whatever nobody knows |
 *
 * @category Errors
 */
export type RefusalKind =
  | "wait"
  | "fault"
  | "flow"
  | "client"
  | "scope"
  | "denied"
  | "over"
  | "refused";

/** What follows from a refusal. */
interface Consequence {
  /** Whether the stored grant stays after a refused refresh. */
  readonly keepsGrant: boolean;
  /** Whether a new sign-in may help: a person is asked once, or `login_required` names the command. */
  readonly asksPerson: boolean;
  /** The error of a device flow that it ends. A poll goes on after `wait` and `fault`. */
  readonly byDevice: ValidMindAuthErrorCode;
  /** The error of a browser flow that it ends. */
  readonly byBrowser: ValidMindAuthErrorCode;
}

const REFUSED: Consequence = {
  keepsGrant: true,
  asksPerson: true,
  byDevice: "provider_refused",
  byBrowser: "provider_refused",
};

/** What follows from each kind of refusal. Beside these, `flow` changes the flow of `auto`. */
export const CONSEQUENCES: Readonly<Record<RefusalKind, Consequence>> = {
  wait: REFUSED,
  fault: {
    keepsGrant: true,
    asksPerson: false,
    byDevice: "provider_unavailable",
    byBrowser: "provider_unavailable",
  },
  flow: REFUSED,
  client: { ...REFUSED, asksPerson: false },
  scope: REFUSED,
  denied: { ...REFUSED, byDevice: "device_code_denied", byBrowser: "authorization_denied" },
  over: { ...REFUSED, keepsGrant: false, byDevice: "device_code_expired" },
  refused: REFUSED,
};

/**
 * The parts of a {@linkcode ValidMindAuthError}.
 *
 * @category Errors
 */
export interface ValidMindAuthErrorParts extends ErrorParts {
  /** The meaning of a provider's refusal. */
  kind?: RefusalKind | undefined;
  /** The OAuth error code that the provider sent, such as `invalid_grant`. */
  oauthError?: string | undefined;
  /** The options of the sign-in that leads out of the error, without a secret. */
  signIn?: Readonly<Record<string, string | boolean>> | undefined;
  /** The pause that the provider or the API asks for, in milliseconds: `Retry-After`. */
  retryAfterMs?: number | undefined;
  /** The permissions that the call needs: of `permission_required`. */
  permissions?: readonly Deno.PermissionDescriptor[] | undefined;
}

/**
 * A sign-in, a token or a call failed. The message reads "Cannot X: reason. What to do."; programs
 * look at the {@linkcode ValidMindAuthErrorCode}. Neither holds a token, a code or a key.
 *
 * An error of the store is a `CredentialsBackendError` instead.
 *
 * @category Errors
 *
 * @example
 * ```ts
 * import { init, ValidMindAuthError } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * try {
 *   await init({ issuer: "http://login.example.com", clientId: "my-app", model: "cl123" });
 * } catch (error) {
 *   if (!(error instanceof ValidMindAuthError)) throw error;
 *   assertEquals(error.code, "insecure_url");
 * }
 * ```
 */
export class ValidMindAuthError extends Error {
  /** Reason of the error, for programs. */
  readonly code: ValidMindAuthErrorCode;
  /** The action that failed: it completes "Cannot …". */
  declare readonly action: string;
  /** The reason, as a part of a sentence without a full stop. */
  declare readonly reason: string;
  /** The way on, in whole sentences. */
  declare readonly remedy: string;
  /** The meaning of a provider's refusal. Absent where no provider has refused anything. */
  declare readonly kind?: RefusalKind;
  /** The OAuth error code that the provider sent, such as `invalid_grant`. */
  declare readonly oauthError?: string;
  /** The options of the sign-in that leads out of the error. */
  declare readonly signIn?: Readonly<Record<string, string | boolean>>;
  /** The pause that the provider or the API asks for, in milliseconds: `Retry-After`. */
  declare readonly retryAfterMs?: number;
  /** The permissions that the call needs, as far as they are known: of `permission_required`. */
  declare readonly permissions?: readonly Deno.PermissionDescriptor[];

  /**
   * Creates an error.
   *
   * @param code Reason of the error.
   * @param parts What failed, why, and what to do. None may hold a secret.
   */
  constructor(code: ValidMindAuthErrorCode, parts: ValidMindAuthErrorParts) {
    super(messageOf(parts), causeOf(parts));
    const { cause: _, ...fields } = parts;
    Object.assign(this, given(fields));
    this.code = code; // the parts may be another error, whose code is not meant
    showCode(this);
  }
}

/** The provider gave no usable answer: nothing is decided, and a further try may help. */
export class ProviderUnavailableError extends ValidMindAuthError {
  constructor(parts: ValidMindAuthErrorParts) {
    super("provider_unavailable", { ...parts, kind: "fault" });
  }
}

/**
 * Neither options nor variables give an API key or an issuer and client id: `missing_api_credentials`.
 *
 * @category Errors
 */
export class MissingApiCredentialsError extends ValidMindAuthError {
  /**
   * Creates an error.
   *
   * @param parts What failed, why, and what to do.
   */
  constructor(parts: ErrorParts) {
    super("missing_api_credentials", parts);
  }
}

/**
 * Neither an option nor a variable gives the model: `missing_model`.
 *
 * @category Errors
 */
export class MissingModelIdError extends ValidMindAuthError {
  /**
   * Creates an error.
   *
   * @param parts What failed, why, and what to do.
   */
  constructor(parts: ErrorParts) {
    super("missing_model", parts);
  }
}

/**
 * The demand of an API for another sign-in, from the `WWW-Authenticate` of its answer.
 *
 * @category Errors
 */
export interface ApiDemand {
  /** The authentication methods, of which the API wants one, separated by spaces: RFC 9470. */
  readonly acrValues?: string;
  /** The longest time since the person has signed in, in seconds: RFC 9470. */
  readonly maxAge?: number;
  /** The claims that the API wants, as JSON: Microsoft Entra's claims challenge. */
  readonly claims?: string;
  /** The scope that the API wants, separated by spaces: RFC 6750. */
  readonly scope?: string;
}

/**
 * The API answered with an error status: `reauthentication_required` where it wants another sign-in,
 * `unauthorized` for another 401, else `api_error`.
 *
 * @category Errors
 *
 * @example Sign in again, as the API demands it
 * ```ts
 * import { ApiError, init } from "@validmind/auth";
 *
 * const session = await init({ model: "cl123" });
 * try {
 *   await session.get("ping");
 * } catch (error) {
 *   if (!(error instanceof ApiError) || error.demand === undefined) throw error;
 *   await session.signIn({ for: error });
 *   await session.get("ping");
 * }
 * ```
 */
export class ApiError extends ValidMindAuthError {
  /** The HTTP status. */
  readonly status: number;
  /** The beginning of the answer, at most 2,000 characters, without the session's credentials. */
  readonly body: string;
  /** The API's demand, if its answer has one. `Session.signIn` signs in as it says. */
  declare readonly demand?: ApiDemand;

  /**
   * Creates an error.
   *
   * @param parts What failed, why, and what to do; the pause that the API asks for.
   * @param status The HTTP status.
   * @param body The beginning of the answer.
   * @param demand The API's demand.
   */
  constructor(parts: ValidMindAuthErrorParts, status: number, body: string, demand?: ApiDemand) {
    const code = status === 401 ? "unauthorized" : "api_error";
    super(demand ? "reauthentication_required" : code, parts);
    this.status = status;
    this.body = body;
    if (demand) this.demand = demand;
  }
}

const CLASSES = { ValidMindAuthError, MissingApiCredentialsError, MissingModelIdError, ApiError };
for (const [name, ownClass] of Object.entries(CLASSES)) knowCopies(ownClass, name);

/** The error for options and variables that cannot be used. */
export function invalidOptions(action: string, reason: string, remedy: string): ValidMindAuthError {
  return new ValidMindAuthError("invalid_options", { action, reason, remedy });
}

/** The error where Deno denies the network. */
export function netDenied(action: string, ...hosts: readonly string[]): ValidMindAuthError {
  return new ValidMindAuthError("permission_required", {
    action,
    reason: "Deno does not permit it",
    remedy: `Run with: ${permissionFlag("net", ...hosts)}`,
    permissions: hosts.map((host) => ({ name: "net", host })),
  });
}

/** The `code` member of an event: the code of an error of this module. */
export function codeOf(
  error: unknown,
): { code?: ValidMindAuthErrorCode | CredentialsBackendErrorCode } {
  return isOwnError(error) ? { code: error.code } : {};
}

/** Whether an error is one of this module. */
export function isOwnError(error: unknown): error is ValidMindAuthError | CredentialsBackendError {
  return error instanceof ValidMindAuthError || error instanceof CredentialsBackendError;
}

/** Throws an error again. Where a wait has hidden the caller of one of this module, its stack gets it. */
export function throwToCaller(thrown: unknown): never {
  const error = ownError(thrown);
  if (isOwnError(error) && !error.stack?.includes("\n    at ")) showCaller(error);
  throw error;
}

/** The reasons for which Deno does not load a part of this module, by its words for them. */
const LOAD_FAULTS: readonly [words: RegExp, reason: string, remedy: string][] = [
  [
    /in the node_modules/,
    "Deno takes packages from this folder's node_modules alone (package.json, nodeModulesDir)",
    "Run in the folder: deno add jsr:@validmind/auth",
  ],
  [
    /^(?!.*client error).*(Permission denied|Read-only)/s, // not of a connection
    "Deno may not write its cache",
    "Set DENO_DIR to a folder that you may write, or fill the cache as its owner, by deno cache.",
  ],
  [
    /^/,
    "a registry did not give a module of it",
    "Check the network and the registries: npm's (NPM_CONFIG_REGISTRY) has oauth4webapi, and " +
    "JSR's (JSR_URL) has this module, which is npm:@validmind/auth as well. Behind a company's " +
    "authority set DENO_TLS_CA_STORE=system.",
  ],
];

/** An error, or that of this module for a part of it that Deno could not load: parts are loaded where they are used. */
export function ownError(error: unknown): unknown {
  const { code, message } = Object(error);
  if (code !== "ERR_MODULE_NOT_FOUND") return error;
  const [, reason, remedy] = LOAD_FAULTS.find(([words]) => words.test(message))!;
  return new ValidMindAuthError("package_missing", {
    action: "load the code for this call",
    reason,
    remedy,
    cause: causeFrom(error),
  });
}
