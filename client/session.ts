import type { OidcCredentialsBackend } from "../backends/oidc_credentials_backend.ts";
import type { ApiDemand } from "./errors.ts";

/**
 * Options of `Session.clear`.
 *
 * @category Sign in
 */
export interface ClearOptions {
  /**
   * Whether to ask the provider to revoke the tokens (RFC 7009). A failure is reported, not thrown.
   *
   * @default {false}
   */
  revoke?: boolean;
}

/**
 * Outcome of a revocation.
 *
 * | outcome | meaning |
 * |---|---|
 * | `not_requested` | `revoke` was not `true` |
 * | `revoked` | the provider ended the tokens, or the refresh token alone: then there is a reason |
 * | `nothing_to_revoke` | there was no sign-in to end |
 * | `not_supported` | the provider cannot end such tokens: they end by themselves |
 * | `failed` | the provider may still accept the tokens: see {@linkcode ClearResult.reason} |
 *
 * @category Sign in
 */
export type Revocation =
  | "not_requested"
  | "revoked"
  | "nothing_to_revoke"
  | "not_supported"
  | "failed";

/**
 * Result of clearing credentials. Holds no secret.
 *
 * @category Sign in
 */
export interface ClearResult {
  /** The keys of the removed entries. Empty if there were none. */
  readonly keys: readonly string[];
  /** Outcome of the revocation, if one was requested. */
  readonly revocation: Revocation;
  /** Why a token was not revoked, in words. It is about both tokens, or about the access token. */
  readonly reason?: string;
  /** Whether `all` removed the whole store because it was corrupt. */
  readonly wholeStore?: boolean;
}

/**
 * The ValidMind API's information about the model.
 *
 * @category Session
 */
export interface ClientInfo {
  /** The model, with at least its `cuid` and `name` if the API sends them. */
  readonly model: Readonly<Record<string, unknown>>;
  /** Features that are enabled for the organisation. */
  readonly featureFlags: Readonly<Record<string, unknown>>;
  /** The template of the current document. */
  readonly documentationTemplate: Readonly<Record<string, unknown>>;
  /** The document type; `model_documentation` if the API sends none. */
  readonly documentType: string;
}

/**
 * The signed-in person, the expiry and the store of the tokens. Holds no secret.
 *
 * @category Session
 */
export interface SessionStatus {
  /** How requests are authenticated. */
  readonly kind: "oidc" | "api_key";
  /** Whether the session has a live or refreshable token, or an API key. `false` once it is closed. */
  readonly signedIn: boolean;
  /** The person's `sub`, from the ID token. */
  readonly subject?: string;
  /** The person's name, or else the user name, from the ID token. */
  readonly name?: string;
  /** The person's e-mail address, from the ID token. */
  readonly email?: string;
  /** When the bearer token expires. */
  readonly expiresAt?: Date;
  /** Whether the bearer token can be refreshed without the person. */
  readonly refreshable?: boolean;
  /** The profile, if the session has one. */
  readonly profile?: string;
  /**
   * The flow, where it asks nobody. With `client_credentials` the client itself is signed in, and
   * `subject` is the client id.
   */
  readonly flow?: "client_credentials" | "token_exchange";
  /** `true` if the tokens are bound to a key. */
  readonly dpop?: boolean;
  /** The requested scope. */
  readonly scope?: string;
  /** The scope that the provider granted, where it states another one. */
  readonly grantedScope?: string;
  /** The backend: its class, its location, and whether its entries survive the process. */
  readonly backend?: {
    readonly name: string;
    readonly location?: string;
    readonly persistent?: boolean;
  };
}

/**
 * Parameters of a query. `undefined` leaves a parameter out.
 *
 * @category Session
 */
export type QueryParams = Record<string, string | number | boolean | undefined>;

/**
 * Options of {@linkcode Session.accessToken}.
 *
 * @category Session
 */
export interface AccessTokenOptions {
  /**
   * Refreshes the token even if it has not expired. Simultaneous calls share one refresh.
   *
   * @default {false}
   */
  forceRefresh?: boolean;
  /** Ends the wait for the token. A running refresh continues for other callers. */
  signal?: AbortSignal;
}

/**
 * Options of {@linkcode Session.headers}.
 *
 * @category Session
 */
export interface HeadersOptions {
  /**
   * Method of the request that the headers are for. With `dpop` the proof covers it.
   *
   * @default {"GET"}
   */
  method?: string;
  /**
   * URL of the request: one of `apiHost`'s origin, or a path relative to `apiHost`. Any `https:` URL
   * in a session without `apiHost`.
   *
   * @default {undefined, an error with dpop}
   */
  url?: string | URL;
  /** Ends the wait for the token. */
  signal?: AbortSignal;
}

/**
 * Options of {@linkcode Session.post}: a body of one kind.
 *
 * @category Session
 */
export interface PostOptions {
  /** Query parameters. */
  params?: QueryParams;
  /** A body sent as JSON. */
  json?: unknown;
  /** A body sent as a form: multipart for a `FormData` or with a `Blob` in it, else URL-encoded. */
  form?: FormData | URLSearchParams | Record<string, string | Blob>;
  /** Cancels the call. */
  signal?: AbortSignal;
}

/**
 * Options of {@linkcode Session.get}.
 *
 * @category Session
 */
export interface GetOptions {
  /** Cancels the call. */
  signal?: AbortSignal;
}

/**
 * Options of {@linkcode Session.dropPermissions}.
 *
 * @category Session
 */
export interface DropPermissionsOptions {
  /**
   * Whether the session will still refresh its token. With `false` the permissions for the provider
   * and for the stored tokens are revoked, too. The session then ends when its token expires.
   *
   * @default {true}
   */
  refresh?: boolean;
  /**
   * Whether to revoke every kind of permission that the session does not need, also if other code in
   * the process uses it. These are environment, subprocesses, native libraries, system information
   * and imports, and with `refresh: false` files as well. It is for a Deno Jupyter kernel, which
   * starts with all permissions. Deno can remove only a whole kind from such a grant, and not one
   * path or variable.
   *
   * @default {false}
   */
  all?: boolean;
}

/**
 * Result of {@linkcode Session.dropPermissions}.
 *
 * @category Session
 */
export interface DropPermissionsResult {
  /** Permissions that are no longer granted. */
  readonly dropped: readonly Deno.PermissionDescriptor[];
  /**
   * Permissions that the session does not need and that are still granted, because they are part of a
   * wider grant such as `--allow-all`.
   */
  readonly stillGranted: readonly Deno.PermissionDescriptor[];
}

/**
 * Options of {@linkcode Session.signIn}.
 *
 * @category Session
 */
export interface SignInOptions {
  /** The error of the API, or another object with its demand. */
  for: { readonly demand?: ApiDemand };
  /** Cancels the sign-in. */
  signal?: AbortSignal;
}

/**
 * One signed-in identity in this process. Gives a fresh token, and makes requests with it to the
 * API's own origin.
 *
 * A session shows no token when it is printed, inspected or serialized as JSON.
 *
 * @category Session
 *
 * @example
 * ```ts
 * import { init } from "@validmind/auth";
 *
 * const session = await init({ model: "cl123" }); // the rest from the environment
 * const answer = await session.get("ping");
 * await session.close();
 * ```
 */
export interface Session {
  /** The issuer; absent with an API key. */
  readonly issuer?: string;
  /** The client id; absent with an API key. */
  readonly clientId?: string;
  /** The audience of the tokens, if any. */
  readonly audience?: string;
  /** The profile, if the session has one. */
  readonly profile?: string;
  /** The option `flow`, where it is not `auto`. */
  readonly flow?: "device" | "browser" | "client_credentials" | "token_exchange";
  /** `true` if the tokens are bound to a key. */
  readonly dpop?: boolean;
  /** Base URL of the API, with a trailing slash; absent if `createSession` got none. */
  readonly apiHost?: string;
  /** The model's CUID; absent in a session of `createSession`. */
  readonly model?: string;
  /** Store of the tokens; absent with an API key. */
  readonly backend?: OidcCredentialsBackend;
  /** The API's information about the model, from the last ping. */
  readonly info?: ClientInfo;

  /**
   * The bearer token. Secret. It comes from memory, and is refreshed in the last tenth of its
   * lifetime, at most 120 s before its end. With `dpop` an API accepts it only with a proof, which
   * {@linkcode headers} gives.
   *
   * @throws {ValidMindAuthError} `login_required` if a person has to sign in again; `no_access_token`
   * with an API key; `credentials_not_stored` once, while the tokens stay usable in memory;
   * `provider_unavailable`, `provider_refused`, `provider_invalid`, `client_auth_unusable`,
   * `id_token_missing`, `dpop_unsupported`, `session_closed`.
   * @throws {CredentialsBackendError} An error of the backend.
   */
  accessToken(options?: AccessTokenOptions): Promise<string>;
  /**
   * The headers that `fetch` adds, among them the bearer token or the API key. Secret.
   *
   * With `dpop` they are valid for one request with the given method and URL (RFC 9449, section 4).
   * If the API asks for a nonce, use `fetch`, which sends it.
   *
   * @throws {ValidMindAuthError} `dpop_request_needed` with `dpop` and without a URL, `wrong_origin`
   * for a URL of another origin than the API's, and as {@linkcode accessToken}.
   */
  headers(options?: HeadersOptions): Promise<Headers>;
  /**
   * `fetch` with the session's headers. A path is below `apiHost`, with a leading slash or without. A
   * whole URL reaches other paths of the API's origin. After a 401 the token is refreshed, and the
   * request is sent once more. A stream cannot be sent again, and the body of a `Request` is a stream:
   * then the 401 is an error. So is an answer that demands another sign-in: its code is
   * `reauthentication_required`. A redirect to another origin is followed without the session's headers.
   *
   * A `URL` or a `Request` is read once, so that a later change of it does not redirect the token.
   *
   * @throws {ApiError} A 401, if the body is a stream; `reauthentication_required`.
   * @throws {ValidMindAuthError} `wrong_origin`, `api_unreachable`, `session_closed`, and as
   * {@linkcode accessToken}.
   */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /**
   * The JSON answer to a GET; `undefined` for an empty answer. Give it the type that the API documents:
   * `const { model } = await session.get("ping") as { model: { name: string } };`
   *
   * @throws {ApiError} If the status is not 2xx.
   * @throws {ValidMindAuthError} As {@linkcode fetch}.
   */
  get(path: string, params?: QueryParams, options?: GetOptions): Promise<unknown>;
  /**
   * The JSON answer to a POST; `undefined` for an empty answer.
   *
   * @throws {ApiError} If the status is not 2xx.
   * @throws {ValidMindAuthError} As {@linkcode fetch}.
   */
  post(path: string, options?: PostOptions): Promise<unknown>;
  /**
   * Asks the person for a new sign-in, as the API demands it: stronger, newer, or with more scope
   * ([RFC 9470](https://www.rfc-editor.org/rfc/rfc9470)). It is made in the browser, or with
   * `flow: "device"` in the device flow. There many providers ignore what is demanded.
   *
   * Its tokens replace those of the same person. A refresh token that the provider does not give again
   * goes, too: a refresh with the old one would undo the sign-in. Nothing is replaced where another person
   * signs in, or where the provider does not do what the API demands.
   *
   * Needs the permissions of a sign-in.
   *
   * @example
   * ```ts
   * import { ApiError, getSession, init } from "@validmind/auth";
   *
   * await init({ model: "cl123" });
   * try {
   *   await getSession().get("ping");
   * } catch (error) {
   *   if (!(error instanceof ApiError) || error.code !== "reauthentication_required") throw error;
   *   await getSession().signIn({ for: error });
   * }
   * ```
   *
   * @throws {ValidMindAuthError} `invalid_options` without a demand; `demand_unmet` where the provider
   * ignores it; `id_token_invalid` where another person has signed in; `login_required` where nobody
   * may be asked; `no_access_token`, `session_closed`; and as `createSession`.
   * @throws {CredentialsBackendError} An error of the backend.
   */
  signIn(options: SignInOptions): Promise<void>;
  /** The signed-in person, the expiry and the backend. Uses no network and holds no secret. */
  status(): Promise<SessionStatus>;
  /**
   * Removes the tokens from memory and from the backend: see `clearOidcCredentials`. Every other session of
   * this process with the same entry ends, too: its next call is `login_required`.
   */
  clear(options?: ClearOptions): Promise<ClearResult>;
  /**
   * Revokes the permissions that this session no longer needs, for the whole process. Deno grants one
   * again only after it has asked the person. The revocation of a path or a host also revokes a wider
   * grant that covers it, but not a grant of the whole kind. So with `refresh: false` a grant of the
   * provider's host without a port also takes an API at another port of that host. Grant both with
   * their ports.
   *
   * @returns The revoked permissions, and those that remain because a wider grant covers them.
   */
  dropPermissions(options?: DropPermissionsOptions): Promise<DropPermissionsResult>;
  /** Closes this session. The backend stays open, since other sessions may use it. */
  close(): Promise<void>;
  /** The same as {@linkcode close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * A sign-in in the browser that has begun: the result of `startSignIn`. It is for a notebook whose
 * browser is on another machine. A cell that waits could not take an address.
 *
 * The first cell shows the link and returns. The person signs in, and the browser ends on a page that
 * does not load. The next cell hands in that page's address, which can be used once, and gets the
 * session. If the browser comes back to this computer, `finish()` needs no address. If a stored
 * sign-in can be used, nobody is asked.
 *
 * @category Sign in
 */
export interface StartedSignIn extends AsyncDisposable {
  /** The link that is shown; absent if a stored sign-in is used. */
  readonly url?: string;
  /** When the wait ends; absent if a stored sign-in is used. */
  readonly expiresAt?: Date;
  /**
   * Ends the sign-in.
   *
   * @param address The whole address of the browser's last page. Without it the call waits for the
   * browser to come back to this computer.
   * @returns The session. A later call gives the same one.
   * @throws {ValidMindAuthError} `address_refused`, after which the sign-in still waits; or as
   * `createSession`.
   */
  finish(address?: string): Promise<Session>;
  /** Gives up the sign-in. A session that `finish` gave stays open. */
  [Symbol.asyncDispose](): Promise<void>;
}
