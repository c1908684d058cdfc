import { assertCredentialsBackend } from "./check_options.ts";
import {
  defaultFileBackend,
  loadBackendFromEnv,
  type LoadBackendOptions,
} from "./load_backend_from_env.ts";
import type { OidcCredentialsBackend } from "./oidc_credentials_backend.ts";

/**
 * The backend that `init()` would use: the argument, else the one of `setDefaultBackend`, else the
 * one that the environment names, else the file shared with the Python library.
 *
 * Needs nothing for the first two; for the others what `loadBackendFromEnv` and
 * `FileCredentialsBackend` need.
 *
 * @param backend The caller's choice, if any.
 * @param options How a backend that the environment names is run.
 * @returns The backend. No file or network has been touched yet, but for a module that the
 * environment names.
 * @throws {CredentialsBackendError} As `loadBackendFromEnv` and `FileCredentialsBackend`.
 *
 * @example
 * ```ts
 * import { MemoryCredentialsBackend, resolveCredentialsBackend } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * const backend = new MemoryCredentialsBackend();
 * assertEquals(await resolveCredentialsBackend(backend), backend);
 * ```
 */
export async function resolveCredentialsBackend(
  backend?: OidcCredentialsBackend,
  options: LoadBackendOptions = {},
): Promise<OidcCredentialsBackend> {
  if (backend !== undefined) {
    assertCredentialsBackend(backend, "credentialsBackend");
    return backend;
  }
  return getDefaultBackend() ?? await loadBackendFromEnv(options) ?? await defaultFileBackend();
}

let defaultBackend: OidcCredentialsBackend | undefined;

/**
 * Sets the backend that this process uses wherever none is passed, before the environment is looked
 * at. For a platform team's start-up code, and for modules that the environment cannot name.
 *
 * Needs no permission.
 *
 * @param backend The backend, or `undefined` to go back to the environment.
 * @throws {CredentialsBackendError} `invalid_backend` when it lacks `get`, `put` or `delete`.
 *
 * @example
 * ```ts
 * import { getDefaultBackend, MemoryCredentialsBackend, setDefaultBackend } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * const backend = new MemoryCredentialsBackend();
 * setDefaultBackend(backend);
 * assertEquals(getDefaultBackend(), backend);
 * setDefaultBackend(undefined);
 * ```
 */
export function setDefaultBackend(backend: OidcCredentialsBackend | undefined): void {
  if (backend !== undefined) assertCredentialsBackend(backend, "the default");
  defaultBackend = backend;
}

/**
 * The backend that {@linkcode setDefaultBackend} set.
 *
 * Needs no permission.
 *
 * @returns That backend, or `undefined` when none is set.
 *
 * @example
 * ```ts
 * import { getDefaultBackend } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(getDefaultBackend(), undefined);
 * ```
 */
export function getDefaultBackend(): OidcCredentialsBackend | undefined {
  return defaultBackend;
}
