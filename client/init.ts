import type { PermissionNeed, RequiredPermissionsOptions } from "./format_permissions.ts";
import { openSession, prepareCall } from "./create_session.ts";
import { throwToCaller, ValidMindAuthError } from "./errors.ts";
import { checkCallOptions } from "./options/resolve_options.ts";
import { net, uniqueNeeds } from "./permissions/start_needs.ts";
import type { ClearResult, ClientInfo, Session } from "./session.ts";
import type {
  ClearOidcCredentialsOptions,
  DiscoverApiOptions,
  DiscoveredApi,
  InitOptions,
} from "./session_options.ts";
import { peekActiveSession, setActiveSession, type SignedInSession } from "./signed_in/session.ts";

/**
 * Signs in to ValidMind, pings its API, and makes the session the active one of this process. A
 * notebook or a script begins with this call.
 *
 * A valid stored token is used without a request to the provider, and an expired one is refreshed.
 * Otherwise a person is asked to sign in by the device flow
 * ([RFC 8628](https://www.rfc-editor.org/rfc/rfc8628)). The notebook cell, or standard error, shows a
 * link and a code. `flow` names other ways, such as the browser. The `VM_*` variables stand in for
 * absent options. With `apiKey` and `apiSecret` nobody signs in, and requests carry the key.
 *
 * Needs the permissions of the backend, `--allow-env` for the variables of absent options, and
 * `--allow-net` for the API's host. Without a valid stored token it also needs `--allow-net` for the
 * issuer's host and the hosts of its endpoints. {@linkcode requiredPermissions} lists them.
 *
 * @param options The identity, the model and the backend.
 * @returns The session.
 * @throws {MissingApiCredentialsError} `missing_api_credentials`, without an API key and without
 * issuer and client id.
 * @throws {MissingModelIdError} `missing_model`.
 * @throws {ValidMindAuthError} `invalid_options`, `settings_invalid`, `insecure_url`,
 * `conflicting_credentials` and `permission_required`, before any work; then as `createSession`, and
 * `api_unreachable`.
 * @throws {ApiError} `api_error`, `unauthorized`: the API refuses the ping. The tokens stay stored.
 * @throws {CredentialsBackendError} `runtime_unsupported`; an error of the backend, or of its choice.
 * @category Sign in
 *
 * @example
 * ```ts
 * import * as vm from "@validmind/auth";
 *
 * const session = await vm.init({ model: "cl123" }); // the rest from the environment
 * const status = await session.status();
 * ```
 */
export async function init(options: InitOptions = {}): Promise<Session> {
  const session = await openSession(options, undefined, "init").catch(throwToCaller);
  await ping(session, options.signal);
  setActiveSession(session);
  return session;
}

/**
 * Gives the session of the last `init()` in this process, for example to a function of another
 * module.
 *
 * Needs no permission.
 *
 * @returns The session.
 * @throws {ValidMindAuthError} `no_active_session` before `init()` and after
 * `clearOidcCredentials()`.
 * @category Session
 *
 * @example
 * ```ts
 * import { getSession, init } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * const session = await init({ model: "cl123" });
 * assertEquals(getSession(), session);
 * ```
 */
export function getSession(): Session {
  return active("give the session");
}

/**
 * Pings the API again and updates the active session's information about the model.
 *
 * Needs `--allow-net` for the API's host, and for a refresh the permissions of `init`.
 *
 * @returns The API's information.
 * @throws {ValidMindAuthError} `no_active_session`, `api_unreachable`, and as
 * `Session.accessToken`.
 * @throws {ApiError} If the API refuses.
 * @category Session
 *
 * @example
 * ```ts
 * import { init, reload } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * await init({ model: "cl123" });
 * const info = await reload();
 * assertEquals(info.documentType, "model_documentation");
 * ```
 */
export async function reload(): Promise<ClientInfo> {
  return await ping(active("reload"));
}

/**
 * Signs out: removes the stored tokens, and with `revoke` asks the provider to revoke them. The entry
 * is removed from the backend even if the network fails, or if the entry cannot be read. A corrupt
 * store is an error and stays, since it may be another program's file. `all` removes it. Without a
 * session of `init()` the variables name the entry. If there is nothing to clear, that is not an
 * error. Every session of this process that uses a removed entry ends, too.
 *
 * Needs the permissions of the backend, and `--allow-env` for the variables of absent options. With
 * `revoke` it also needs `--allow-net` for the issuer's host, and `--allow-read` of the client's
 * file, if there is one.
 *
 * @param options The credentials, and whether to revoke them.
 * @returns The removed keys, and the outcome of the revocation.
 * @throws {ValidMindAuthError} `invalid_options`, `settings_invalid`, `insecure_url`,
 * `permission_required`.
 * @throws {CredentialsBackendError} `runtime_unsupported`; an error of the backend; `backend_corrupt`
 * for a corrupt store without `all`; `backend_no_list` if `all` is set and the backend cannot list
 * its keys.
 * @category Sign in
 *
 * @example
 * ```ts
 * import { clearOidcCredentials, init } from "@validmind/auth";
 * import { assert, assertEquals } from "@std/assert";
 *
 * await init({ model: "cl123" });
 * const { keys, revocation } = await clearOidcCredentials({ revoke: true });
 * assert(keys.length >= 1); // one more for tokens that are bound to a key
 * assertEquals(revocation, "revoked");
 * ```
 */
export async function clearOidcCredentials(
  options: ClearOidcCredentialsOptions = {},
): Promise<ClearResult> {
  const { signOut } = await import("./signed_in/sign_out.ts");
  return await signOut(options);
}

/**
 * Lists the permissions that `init` or another call needs with these options, each as narrow as Deno
 * offers. They are those that the backend declares, the hosts of issuer and API with their ports, and
 * the variables that are read. `need` marks the optional ones: see {@linkcode PermissionNeed}.
 *
 * A third-party backend adds the permissions that it declares. If the environment names its module,
 * the files and hosts of its imports are added.
 *
 * Needs `--allow-env` for the variables of absent options. If the environment names a backend, it
 * needs the permissions to load that backend. Without `discover` it uses no network.
 *
 * @param options The options of the call.
 * @param about The call, and whether to ask the provider.
 * @returns The permissions.
 * @throws {ValidMindAuthError} As `init`, for wrong or missing options; with `discover` also
 * `provider_unavailable`, `provider_invalid`, `permission_required`.
 * @throws {CredentialsBackendError} As the choice of the backend; `invalid_permissions` for a
 * backend that declares anything but descriptors.
 * @category Permissions
 *
 * @example
 * ```ts
 * import {
 *   formatPermissionFlags,
 *   MemoryCredentialsBackend,
 *   requiredPermissions,
 * } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * const needs = await requiredPermissions({
 *   issuer: "https://login.example.com",
 *   clientId: "my-app",
 *   apiHost: "https://api.example.com/v1/",
 *   model: "cl123",
 *   credentialsBackend: new MemoryCredentialsBackend(),
 * });
 * assertEquals(
 *   formatPermissionFlags(needs.filter(({ need }) => need !== "optional")),
 *   "--allow-net=api.example.com:443,login.example.com:443",
 * );
 * ```
 */
export async function requiredPermissions(
  options: InitOptions = {},
  about: RequiredPermissionsOptions = {},
): Promise<PermissionNeed[]> {
  const action = "name the permissions";
  checkCallOptions(action, about, { call: ["init", "createSession"], discover: "boolean" });
  const call = await prepareCall(options, about.call ?? "init", action);
  const { identity, runtime } = call.resolved;
  if (identity.kind === "api_key") return call.needs();
  const needs = await call.allNeeds();
  if (about.discover) {
    const { OidcProvider } = await import("./provider/oidc_provider.ts");
    const hosts = await new OidcProvider(identity, runtime).endpointHosts();
    const reason = "to use the provider's endpoints";
    needs.push(...hosts.map((host) => net(`https://${host}`, reason, "sign_in")));
  }
  return uniqueNeeds(needs);
}

/**
 * Asks an API how to sign in to it: its protected resource metadata
 * ([RFC 9728](https://www.rfc-editor.org/rfc/rfc9728)). The metadata stands at the well-known address of
 * the API, with or without its last slash, or where the API names it in its answer to a call without a
 * token. No token is sent, nothing is stored, and no issuer is asked. Only the address that a person gave counts: the metadata has to be
 * of that API, at its origin, and no redirect is followed.
 *
 * Needs `--allow-net` for the API's host.
 *
 * @param address The address of the API, as a person or an administrator gave it.
 * @param options The signal and the `fetch` of the requests.
 * @returns The issuers, and options for `createSession`. With several issuers the options have none: add
 * the one that the person knows.
 * @throws {ValidMindAuthError} `api_metadata_invalid` without metadata that may be used;
 * `insecure_url` for an address or an issuer with `http:`; `api_unreachable`, `permission_required`,
 * `invalid_options`.
 * @category Sign in
 *
 * @example
 * ```ts
 * import { discoverApi } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * // An API that answers here; without `fetch` it is asked over the network.
 * const resource = "https://api.example.com/v1/";
 * const authorization_servers = ["https://login.example.com"];
 * const fetch = async () => await Promise.resolve(Response.json({ resource, authorization_servers }));
 *
 * const { issuers, options } = await discoverApi(resource, { fetch });
 * assertEquals(issuers, authorization_servers);
 * // Once a person knows the issuer: await createSession({ ...options, clientId: "my-client" })
 * assertEquals(options.apiHost, resource);
 * ```
 */
export async function discoverApi(
  address: string,
  options: DiscoverApiOptions = {},
): Promise<DiscoveredApi> {
  const { requestMetadata } = await import("./api/api_metadata.ts");
  return await requestMetadata(address, options);
}

/** Asks the API for the model's information and keeps it on the session. */
async function ping(session: SignedInSession, signal?: AbortSignal) {
  const answer = await session.get("ping", {}, signal === undefined ? {} : { signal });
  const { readClientInfo } = await import("./api/client.ts");
  session.info = readClientInfo(answer);
  return session.info;
}

function active(action: string) {
  const session = peekActiveSession();
  if (session !== undefined) return session;
  throw new ValidMindAuthError("no_active_session", {
    action,
    reason: "nobody is signed in here",
    remedy: "Call init() first, also after a sign-out. If you did, two copies of this module are " +
      "loaded: import one of them.",
  });
}
