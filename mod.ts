/**
 * This module signs people in to the ValidMind API, or to any API that uses an OpenID Provider, from
 * notebooks, scripts and terminals. It keeps their tokens fresh, puts them on requests, and keeps them in
 * a store of your choice. Jobs sign in as their client.
 *
 * ## Quick start
 *
 * Set the provider, the client, the API and the model. Each variable is also an option.
 *
 * ```sh
 * deno add jsr:@validmind/auth
 * export VM_OIDC_ISSUER=https://login.example.com
 * export VM_OIDC_CLIENT_ID=my-client
 * export VM_API_HOST=https://api.example.com/api/v1/tracking/
 * export VM_API_MODEL=cl123
 * ```
 *
 * ```ts
 * import * as vm from "@validmind/auth";
 *
 * // Shows a link and a code if a person has to sign in.
 * const session = await vm.init();
 * const answer = await session.get("ping");
 * ```
 *
 * {@linkcode init} uses the stored token or refreshes it. It asks a person only if it has to.
 * {@linkcode createSession} does the same for any other API. {@linkcode clearOidcCredentials} signs
 * out. A {@linkcode Session} gives a fresh token and makes requests with it. The
 * [command line](https://jsr.io/@validmind/auth/doc/cli) does the same in a shell.
 *
 * ## Stores
 *
 * The default is the file that the ValidMind Python library uses, too. The option
 * `credentialsBackend`, {@linkcode setDefaultBackend} or `VM_OIDC_CREDENTIALS_BACKEND` chooses another
 * store: memory, Deno KV, [the keychain](https://jsr.io/@validmind/auth/doc/backends/keychain),
 * [Vault](https://jsr.io/@validmind/auth/doc/backends/vault) or
 * [a program](https://jsr.io/@validmind/auth/doc/backends/helper). Each can be
 * [encrypted](https://jsr.io/@validmind/auth/doc/backends/encrypted) or have a
 * [fallback](https://jsr.io/@validmind/auth/doc/backends/fallback). A class of yours needs the three
 * methods of {@linkcode OidcCredentialsBackend}; [a kit](https://jsr.io/@validmind/auth/doc/testing)
 * tests it.
 *
 * ## Permissions and errors
 *
 * A call checks its permissions before any work. The error names the missing ones, and has
 * one command to copy.
 * {@linkcode requiredPermissions} lists all of them. Errors have stable codes:
 * {@linkcode ValidMindAuthError}, and {@linkcode CredentialsBackendError} for the store.
 *
 * ## Pages
 *
 * [Signing in](client/README.md) · [notebooks](client/notebooks.md) ·
 * [command line](client/command_line.md) · [jobs and CI](client/jobs.md) ·
 * [providers](client/providers.md) · [JupyterHub and Kubernetes](client/hubs.md) ·
 * [options and variables](client/options.md) · [choose a store](backends/README.md) ·
 * [a store of your own](backends/own.md) · [beside Python](backends/python.md) ·
 * [when something fails](client/errors.md) · [security](.github/SECURITY.md) ·
 * [changes](.github/CHANGELOG.md)
 *
 * @example Any other API
 * ```ts
 * import { createSession } from "@validmind/auth";
 *
 * await using session = await createSession({
 *   issuer: Deno.env.get("VM_OIDC_ISSUER"),
 *   clientId: Deno.env.get("VM_OIDC_CLIENT_ID"),
 *   apiHost: Deno.env.get("VM_API_HOST"),
 * });
 * const response = await session.fetch("things");
 * ```
 *
 * @example Keep nothing on this host
 * ```ts
 * import * as vm from "@validmind/auth";
 *
 * const session = await vm.init({
 *   credentialsBackend: new vm.MemoryCredentialsBackend(),
 * });
 * ```
 *
 * @module
 */

// Sign in: start and end a session, with the options of each call.
export {
  clearOidcCredentials,
  discoverApi,
  getSession,
  init,
  reload,
  requiredPermissions,
} from "./client/init.ts";
export { createSession, startSignIn } from "./client/create_session.ts";
export type {
  AuthorizationPrompt,
  BearerKind,
  ClearOidcCredentialsOptions,
  DeviceCode,
  DiscoverApiOptions,
  DiscoveredApi,
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
  SignInOptions,
  StartedSignIn,
} from "./client/session.ts";

// Backends: stores of credentials, and their choice.
export type {
  BackendPermission,
  MaybePromise,
  OidcCredentials,
  OidcCredentialsBackend,
  PutOptions,
  WithLockOptions,
} from "./backends/oidc_credentials_backend.ts";
export {
  credentialsPath,
  FileCredentialsBackend,
  type FileCredentialsBackendOptions,
  withFileLock,
} from "./backends/file.ts";
export { MemoryCredentialsBackend, NullCredentialsBackend } from "./backends/memory.ts";
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
// Permissions: the needs of a call, as flags and as a permission set.
export {
  formatPermissionFlags,
  formatPermissionSet,
  type PermissionNeed,
  type RequiredPermissionsOptions,
} from "./client/format_permissions.ts";

// Errors: one class for the client, one for the store, each with stable codes.
export {
  type ApiDemand,
  ApiError,
  MissingApiCredentialsError,
  MissingModelIdError,
  type RefusalKind,
  ValidMindAuthError,
  type ValidMindAuthErrorCode,
  type ValidMindAuthErrorParts,
} from "./client/errors.ts";
export {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
  type ErrorParts,
} from "./backends/credentials_backend_error.ts";

// Keys and entries: for programs that look into a store.
export {
  credentialKey,
  type CredentialKeyOptions,
  normalizeAudience,
  normalizeClientId,
  normalizeIssuer,
} from "./client/credential_key.ts";
export { isExpired } from "./backends/is_expired.ts";
