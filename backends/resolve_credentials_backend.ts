import { assertCredentialsBackend } from "./common/describe_backend.ts";
import { readBackendChoice } from "./common/backend_choice.ts";
import { getEnv, readEnv } from "./common/environment.ts";
import { FileCredentialsBackend } from "./file.ts";
import type { NamedBackend } from "./load/create_backend.ts";
import type { OidcCredentialsBackend } from "./oidc_credentials_backend.ts";

/** Loaded where the environment or the settings file names a backend. */
const loadCreateBackend = () => import("./load/create_backend.ts");

/** The backend that `setDefaultBackend` set last. */
let defaultBackend: OidcCredentialsBackend | undefined;

/**
 * The backend that `init()` uses. It is the argument, or else the backend of `setDefaultBackend`.
 * Without both it is the backend that the environment names, or else the file that the Python library
 * shares.
 *
 * Needs nothing for the first two. For the others it needs the permissions of `loadBackendFromEnv`
 * and `FileCredentialsBackend`.
 *
 * @param backend The caller's choice, if any.
 * @returns The backend. A module that the environment names has been imported. No other file and no
 * host has been touched yet.
 * @throws {CredentialsBackendError} As `loadBackendFromEnv` and `FileCredentialsBackend`.
 * @category Backends
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
): Promise<OidcCredentialsBackend> {
  return await chooseBackend(backend, undefined);
}

/** The same, where the settings file may name a backend in place of the environment. */
export async function chooseBackend(
  backend: OidcCredentialsBackend | undefined,
  named: NamedBackend | undefined,
): Promise<OidcCredentialsBackend> {
  if (backend !== undefined) {
    assertCredentialsBackend(backend, "credentialsBackend");
    return backend;
  }
  const found = getDefaultBackend();
  if (found) return found;
  if (!named) return await loadBackendFromEnv() ?? new FileCredentialsBackend();
  return await namedBackend(named);
}

/** The backend that a setting or a flag names. */
export async function namedBackend(named: NamedBackend): Promise<OidcCredentialsBackend> {
  return await (await loadCreateBackend()).sharedBackend(named);
}

/**
 * Sets the backend that this process uses wherever none is passed. It wins over the environment. It
 * is for start-up code of a platform team, and for modules that the environment cannot name.
 *
 * Needs no permission.
 *
 * @param backend The backend; `null` or `undefined` to go back to the environment.
 * @throws {CredentialsBackendError} `invalid_backend` when it lacks `get`, `put` or `delete`.
 * @category Backends
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
export function setDefaultBackend(backend: OidcCredentialsBackend | null | undefined): void {
  if (backend != null) assertCredentialsBackend(backend, "the default");
  defaultBackend = backend ?? undefined;
}

/**
 * The backend that {@linkcode setDefaultBackend} set.
 *
 * Needs no permission.
 *
 * @returns That backend, or `undefined` when none is set.
 * @category Backends
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

/**
 * The backend that the environment names. With it a platform team chooses the store, and no user has
 * to write code.
 *
 * `VM_OIDC_NO_PERSIST` (`1`, `true`, `yes`) wins and gives memory. Otherwise
 * `VM_OIDC_DENO_CREDENTIALS_BACKEND` names the backend. If it is unset or empty,
 * `VM_OIDC_CREDENTIALS_BACKEND` does, which the Python library reads as well. A name in Python's form
 * there is an error.
 *
 * A name is `file`, `memory`, `kv`, `vault`, `keychain`, `helper`, `encrypted` or `fallback`. It can
 * also be `MODULE:EXPORT` of a `jsr:`, `npm:` or `file:` module, or of a path from the
 * working directory.
 *
 * The variable with `_KWARGS` after its name holds the options for the constructor, as one JSON
 * object. `${NAME}` in it stands for a variable. Options without a name are an error. The backends
 * within `encrypted` and `fallback` are names, or `{"name": …, "options": {…}}`. Equal settings give
 * the same instance within a process.
 *
 * Needs
 * `--allow-env=VM_OIDC_NO_PERSIST,VM_OIDC_DENO_CREDENTIALS_BACKEND`, and `VM_OIDC_CREDENTIALS_BACKEND`
 * if the second names nothing. If a name is set, even to an empty text, it needs its `_KWARGS` and
 * the variables in the options. A path needs `--allow-read` of the module and of its imports. A
 * denied variable is an error, so that a rule of the host is not missed.
 *
 * @returns The backend, or `undefined` where the environment names none.
 * @throws {CredentialsBackendError} `permission_required`, `env_invalid`, `backend_spec_invalid`,
 * `backend_import_unsupported`, `backend_kwargs_invalid`, `env_unset`, `backend_import_failed`,
 * `backend_export_missing`, `backend_not_constructible`, `invalid_backend`, `invalid_options`,
 * `home_unset`, `runtime_unsupported`; and the own errors of the named class's constructor.
 * @category Backends
 *
 * @example
 * ```ts
 * import { loadBackendFromEnv, MemoryCredentialsBackend } from "@validmind/auth";
 * import { assertInstanceOf } from "@std/assert";
 *
 * Deno.env.set("VM_OIDC_CREDENTIALS_BACKEND", "memory");
 * assertInstanceOf(await loadBackendFromEnv(), MemoryCredentialsBackend);
 * Deno.env.delete("VM_OIDC_CREDENTIALS_BACKEND");
 * ```
 */
export async function loadBackendFromEnv(): Promise<OidcCredentialsBackend | undefined> {
  const { name, by, options } = readBackendChoice((variable) =>
    // An empty text is not an unset variable here.
    readEnv(variable, "choose a credentials backend") ?? getEnv(variable)
  );
  if (by === undefined) return undefined;
  const text = options && readEnv(options, "read the backend's options");
  const origin = { name: by, options: options ?? by };
  return await namedBackend({ name: name!, options: text, origin });
}
