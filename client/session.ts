import type { OidcCredentialsBackend } from "../backends/oidc_credentials_backend.ts";
import type { ClearOptions, ClearResult } from "./clear_result.ts";

/** What the ValidMind API says of the model at sign-in. */
export interface ClientInfo {
  /** The model, with at least its `cuid` and `name` where the API gives them. */
  readonly model: Readonly<Record<string, unknown>>;
  /** Features that are switched on for the organisation. */
  readonly featureFlags: Readonly<Record<string, unknown>>;
  /** The template of the document that is worked on. */
  readonly documentationTemplate: Readonly<Record<string, unknown>>;
  /** The document type, `model_documentation` where the API does not say. */
  readonly documentType: string;
}

/** Who is signed in, until when, and where the tokens are. Holds no secret. */
export interface SessionStatus {
  /** How requests are authenticated. */
  readonly kind: "oidc" | "api_key";
  /** Whether a token is at hand, fresh or refreshable. Always `true` with an API key. */
  readonly signedIn: boolean;
  /** The person's `sub`, as the ID token says. */
  readonly subject?: string;
  /** The person's name, as the ID token says. */
  readonly name?: string;
  /** The person's e-mail address, as the ID token says. */
  readonly email?: string;
  /** When the bearer token ends. */
  readonly expiresAt?: Date;
  /** Whether the bearer token can be refreshed without the person. */
  readonly refreshable?: boolean;
  /** The profile, if the session has one. */
  readonly profile?: string;
  /** `true` where the tokens are bound to a key. */
  readonly dpop?: boolean;
  /** The scope that was asked for. */
  readonly scope?: string;
  /** The backend: its class, where it keeps entries, and whether they survive the process. */
  readonly backend?: {
    readonly name: string;
    readonly location?: string;
    readonly persistent?: boolean;
    /** Whether it says which permissions it needs: see `OidcCredentialsBackend`. */
    readonly declaresPermissions: boolean;
  };
}

/** Values that can stand in a query. `undefined` leaves the parameter out. */
export type QueryParams = Record<string, string | number | boolean | undefined>;

/** Options of {@linkcode Session.accessToken}. */
export interface AccessTokenOptions {
  /** Refreshes even if the token has not ended, once for all who ask at the same time. */
  forceRefresh?: boolean;
  /** Ends the wait for the token; a refresh that is under way goes on for others. */
  signal?: AbortSignal;
}

/** Options of {@linkcode Session.headers}. */
export interface HeadersOptions {
  /**
   * The request that the headers are for, which with `dpop` they hold a proof of.
   *
   * @default "GET"
   */
  method?: string;
  /**
   * Where the request goes: a URL of `apiHost`'s origin, or a path relative to it; with a session
   * that has no `apiHost`, any `https:` URL.
   *
   * @default undefined, which with `dpop` is an error
   */
  url?: string | URL;
  /** Ends the wait for the token. */
  signal?: AbortSignal;
}

/** Options of {@linkcode Session.post}: a body of one kind. */
export interface PostOptions {
  /** Query parameters. */
  params?: QueryParams;
  /** A body sent as JSON. */
  json?: unknown;
  /** A body sent as a form: multipart where it is a `FormData` or has a `Blob`, else URL-encoded. */
  form?: FormData | URLSearchParams | Record<string, string | Blob>;
  /** Ends the call. */
  signal?: AbortSignal;
}

/** Options of {@linkcode Session.get}. */
export interface GetOptions {
  /** Ends the call. */
  signal?: AbortSignal;
}

/** Options of {@linkcode Session.dropPermissions}. */
export interface DropPermissionsOptions {
  /**
   * Whether the session will still refresh its token. Without it the grants for the provider and
   * for the stored tokens go too, and the session ends with its token.
   *
   * @default true
   */
  refresh?: boolean;
  /**
   * Whether to give up every permission of a kind that the session does not need, whoever else in
   * the process uses it: environment, subprocesses, native libraries, system information and
   * imports, and without `refresh` files. For a Deno Jupyter kernel, which starts with all
   * permissions: Deno cannot take a path or a variable out of such a grant, only the whole kind.
   *
   * @default false
   */
  all?: boolean;
}

/** What {@linkcode Session.dropPermissions} did. */
export interface DropPermissionsResult {
  /** What is not granted any more. */
  readonly dropped: readonly Deno.PermissionDescriptor[];
  /**
   * What the session does not need and still has, since it is part of a wider grant, such as that of
   * `--allow-all`.
   */
  readonly stillGranted: readonly Deno.PermissionDescriptor[];
}

/**
 * One signed-in identity in this process. Gives a token that is always fresh, and makes requests
 * with it, to the API's own origin only.
 *
 * A session shows no token when it is printed, inspected or made JSON.
 *
 * @example
 * ```ts
 * import { init } from "@validmind/auth";
 *
 * const session = await init({ model: "cl123" }); // issuer and client id from the environment
 * const answer = await session.get("ping");
 * await session.close();
 * ```
 */
export interface Session {
  /** The issuer; absent with an API key. */
  readonly issuer?: string;
  /** The client id; absent with an API key. */
  readonly clientId?: string;
  /** The audience that tokens are asked for, if any. */
  readonly audience?: string;
  /** The profile, if the session has one. */
  readonly profile?: string;
  /** `true` where the tokens are bound to a key. */
  readonly dpop?: boolean;
  /** Base URL of the API, with a trailing slash; absent when `createSession` got none. */
  readonly apiHost?: string;
  /** The model's CUID; absent in a session of `createSession`. */
  readonly model?: string;
  /** Where the tokens are kept; absent with an API key. */
  readonly backend?: OidcCredentialsBackend;
  /** What the API said of the model at the last ping. */
  readonly info?: ClientInfo;

  /**
   * The bearer token: from memory, refreshed when it ends within 120 s. A secret. With `dpop` it is
   * of no use as a bearer: an API takes it with a proof only, which {@linkcode headers} gives.
   *
   * @throws {ValidMindAuthError} `login_required` when a person has to sign in again,
   * `provider_unavailable`, `provider_refused`, `credentials_not_stored` (once: the tokens then
   * live on in memory), `no_access_token` with an API key, `session_closed`.
   * @throws {CredentialsBackendError} What the backend reports.
   */
  accessToken(options?: AccessTokenOptions): Promise<string>;
  /**
   * The headers that `fetch` adds, the bearer token or API key among them. Secret.
   *
   * With `dpop` they are good for one request, to the method and URL that are given: RFC 9449,
   * section 4. An API that asks for a nonce wants `fetch` instead, which answers it.
   *
   * @throws {ValidMindAuthError} `dpop_request_needed` with `dpop` and without a URL, `wrong_origin`
   * for a URL of another origin than the API's, and as {@linkcode accessToken}.
   */
  headers(options?: HeadersOptions): Promise<Headers>;
  /**
   * `fetch` with the session's headers. A path is taken relative to `apiHost`, as a link in a page
   * would be (so without a leading slash). One refresh and one retry follow a 401 where the body
   * can be sent again. A stream cannot, nor can the body of a `Request`, which is one: there a 401 is
   * an error that says so. A redirect to another origin is followed without the session's headers.
   *
   * @throws {ApiError} A 401 where the body is a stream.
   * @throws {ValidMindAuthError} `wrong_origin`, `api_unreachable`, `session_closed`, and as
   * {@linkcode accessToken}.
   */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /**
   * The JSON that the API answers to a GET; `undefined` for an empty answer.
   *
   * @throws {ApiError} When the status is not 2xx.
   */
  get(path: string, params?: QueryParams, options?: GetOptions): Promise<unknown>;
  /**
   * The JSON that the API answers to a POST; `undefined` for an empty answer.
   *
   * @throws {ApiError} When the status is not 2xx.
   */
  post(path: string, options?: PostOptions): Promise<unknown>;
  /** Who is signed in and until when, without network and without a secret. */
  status(): Promise<SessionStatus>;
  /** Forgets the tokens, here and in the backend; see `clearOidcCredentials`. */
  clear(options?: ClearOptions): Promise<ClearResult>;
  /**
   * Gives up permissions that this session does not need any more, for the whole process. Deno gives
   * no way to take one back without asking the person, and to give up a path or a host also gives up
   * a wider grant that covers it, unless that is a grant of the whole kind.
   *
   * @returns What was given up, and what could not be since it is part of a wider grant.
   */
  dropPermissions(options?: DropPermissionsOptions): Promise<DropPermissionsResult>;
  /** Ends the use of this session. The backend stays open: others may use it. */
  close(): Promise<void>;
  /** The same as {@linkcode close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}
