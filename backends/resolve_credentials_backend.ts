import { assertCredentialsBackend } from "./assert_credentials_backend.ts";
import { getDefaultBackend } from "./default_backend.ts";
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
