import { assertCredentialsBackend } from "./assert_credentials_backend.ts";
import type { OidcCredentialsBackend } from "./oidc_credentials_backend.ts";

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
