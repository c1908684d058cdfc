/**
 * Signs people in notebooks, scripts and terminals in to the ValidMind API, or to any API behind an
 * OpenID Provider, by the OAuth 2.0 device flow or in the browser, and jobs as their client. Keeps the
 * tokens fresh, puts them on requests, and stores them in a credentials backend, with no more Deno
 * permissions than {@linkcode requiredPermissions} lists.
 *
 * - {@linkcode init} signs in to ValidMind, {@linkcode createSession} to any other API, and
 *   {@linkcode clearOidcCredentials} signs out.
 * - A {@linkcode Session} gives a fresh token and makes requests with it.
 * - Tokens are stored in the file that the ValidMind Python library uses. The option
 *   `credentialsBackend`, {@linkcode setDefaultBackend} or the environment choose another backend: in
 *   memory, in Deno KV, or your own {@linkcode OidcCredentialsBackend} of three methods. Backends for
 *   Vault, keychains, encryption and fallback have import paths of their own.
 * - Errors have stable codes: {@linkcode ValidMindAuthError}, and
 *   {@linkcode CredentialsBackendError} for the store.
 *
 * @example Sign in and call the API
 * ```ts
 * import * as vm from "@validmind/auth";
 *
 * const session = await vm.init({ model: "cl123" }); // the rest from the environment
 * const answer = await session.get("ping");
 * ```
 *
 * @example Keep nothing on this host
 * ```ts
 * import * as vm from "@validmind/auth";
 *
 * const session = await vm.init({
 *   model: "cl123",
 *   credentialsBackend: new vm.MemoryCredentialsBackend(),
 * });
 * ```
 *
 * @module
 */

// Sign in: start and end a session, with the options of each call.
export { clearOidcCredentials, getSession, init, reload } from "./client/init.ts";
export { createSession, startSignIn } from "./client/create_session.ts";
export type {
  AuthorizationPrompt,
  BearerKind,
  ClearOidcCredentialsOptions,
  DeviceCode,
  InitOptions,
  SessionOptions,
  SignInFlow,
} from "./client/session_options.ts";
export type { ClearOptions, ClearResult, Revocation } from "./client/session.ts";
export type {
  AuthEvent,
  AuthEventContext,
  AuthEventDetail,
  AuthEventErrorCode,
} from "./client/auth_event.ts";

// Session: the signed-in identity, its token and its requests.
export type {
  AccessTokenOptions,
  ClientInfo,
  DropPermissionsOptions,
  DropPermissionsResult,
  GetOptions,
  HeadersOptions,
  PostOptions,
  QueryParams,
  Session,
  SessionStatus,
  StartedSignIn,
} from "./client/session.ts";

// Backends: stores of credentials, their choice, and the keys and entries in them.
export type {
  BackendPermission,
  MaybePromise,
  OidcCredentials,
  OidcCredentialsBackend,
  PutOptions,
  WithLockOptions,
} from "./backends/oidc_credentials_backend.ts";
export { FileCredentialsBackend, type FileCredentialsBackendOptions } from "./backends/file.ts";
export {
  MemoryCredentialsBackend,
  type MemoryCredentialsBackendOptions,
  NullCredentialsBackend,
} from "./backends/memory.ts";
export { KvCredentialsBackend, type KvCredentialsBackendOptions } from "./backends/kv.ts";
export {
  getDefaultBackend,
  loadBackendFromEnv,
  resolveCredentialsBackend,
  setDefaultBackend,
} from "./backends/resolve_credentials_backend.ts";
export {
  migrateCredentials,
  type MigrateOptions,
  type MigrationResult,
} from "./backends/migrate_credentials.ts";
export { credentialsPath } from "./backends/file.ts";
export {
  credentialKey,
  type CredentialKeyOptions,
  normalizeAudience,
  normalizeClientId,
  normalizeIssuer,
} from "./client/entry.ts";
export { isExpired } from "./client/entry.ts";

// Permissions: the needs of a call, as flags and as a permission set.
export { requiredPermissions } from "./client/init.ts";
export { formatPermissionFlags, formatPermissionSet } from "./client/format_permissions.ts";
export type { PermissionNeed, RequiredPermissionsOptions } from "./client/format_permissions.ts";

// Errors: one class for the client, one for the store, each with stable codes.
export {
  type ApiChallenge,
  ApiError,
  MissingApiCredentialsError,
  MissingModelIdError,
  ValidMindAuthError,
  type ValidMindAuthErrorCode,
  type ValidMindAuthErrorOptions,
} from "./client/errors.ts";
export {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "./backends/credentials_backend_error.ts";
