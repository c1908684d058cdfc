/**
 * Signs people in notebooks, scripts and terminals in to the ValidMind API, or to any API behind an
 * OpenID Provider, with the OAuth 2.0 device flow; keeps their tokens fresh and puts them on
 * requests; and stores them in a credentials backend that runs with no more Deno permissions than
 * it names.
 *
 * `init()` signs in to ValidMind, `createSession()` to any other API, and `clearOidcCredentials()`
 * ends it. Tokens are kept in the file that the ValidMind Python library uses, unless the argument,
 * {@linkcode setDefaultBackend} or the environment says otherwise: in memory, in Deno KV, or in a
 * backend of your own, an {@linkcode OidcCredentialsBackend} of three methods.
 *
 * @example Sign in and call the API
 * ```ts
 * import * as vm from "@validmind/auth";
 *
 * const session = await vm.init({ model: "cl123" }); // issuer and client id from the environment
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

export { credentialsPath } from "./backends/credentials_path.ts";
export {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "./backends/credentials_backend_error.ts";
export { getDefaultBackend, setDefaultBackend } from "./backends/resolve_credentials_backend.ts";
export { FileCredentialsBackend, type FileCredentialsBackendOptions } from "./backends/file.ts";
export { KvCredentialsBackend, type KvCredentialsBackendOptions } from "./backends/kv.ts";
export {
  loadBackendFromEnv,
  type LoadBackendOptions,
} from "./backends/resolve_credentials_backend.ts";
export {
  MemoryCredentialsBackend,
  type MemoryCredentialsBackendOptions,
  NullCredentialsBackend,
} from "./backends/memory.ts";
export {
  migrateCredentials,
  type MigrateOptions,
  type MigrationProgress,
  type MigrationResult,
} from "./backends/migrate_credentials.ts";
export type {
  BackendPermission,
  MaybePromise,
  OidcCredentials,
  OidcCredentialsBackend,
  WithLockOptions,
} from "./backends/oidc_credentials_backend.ts";
export { resolveCredentialsBackend } from "./backends/resolve_credentials_backend.ts";
export { getSession, reload } from "./client/init.ts";
export { clearOidcCredentials } from "./client/clear_oidc_credentials.ts";
export type { ClearOptions, ClearResult, Revocation } from "./client/clear_result.ts";
export type {
  AuthEvent,
  AuthEventContext,
  AuthEventDetail,
  AuthEventErrorCode,
} from "./client/auth_event.ts";
export { createSession } from "./client/create_session.ts";
export {
  credentialKey,
  type CredentialKeyOptions,
  normalizeAudience,
  normalizeClientId,
  normalizeIssuer,
} from "./client/credential_key.ts";
export {
  ApiError,
  MissingApiCredentialsError,
  MissingModelIdError,
  ValidMindAuthError,
  type ValidMindAuthErrorCode,
  type ValidMindAuthErrorOptions,
} from "./client/errors.ts";
export { formatPermissionFlags, formatPermissionSet } from "./client/format_permissions.ts";
export { init } from "./client/init.ts";
export type {
  BearerKind,
  ClearOidcCredentialsOptions,
  DeviceCode,
  InitOptions,
  SessionOptions,
} from "./client/session_options.ts";
export { isExpired } from "./client/entry.ts";
export type { PermissionNeed, RequiredPermissionsOptions } from "./client/permission_need.ts";
export { requiredPermissions } from "./client/required_permissions.ts";
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
} from "./client/session.ts";
