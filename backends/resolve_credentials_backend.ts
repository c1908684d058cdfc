import { assertCredentialsBackend } from "./common/check_options.ts";
import { type EnvReader, parseFlag, readEnv, readEnvIfGranted } from "./common/read_env.ts";
import { CredentialsBackendError } from "./credentials_backend_error.ts";
import { HOME_VARIABLE } from "./credentials_path.ts";
import { FileCredentialsBackend } from "./file.ts";
import { MemoryCredentialsBackend } from "./memory.ts";
import type { IsolateOptions } from "./load/isolate_options.ts";
import type { OidcCredentialsBackend } from "./oidc_credentials_backend.ts";

export type { IsolateOptions };

/** Loaded where the environment names a backend. */
const loadBackendSetting = () => import("./load/backend_setting.ts");

/** Loaded where the environment names a backend. */
const loadCreateBackend = () => import("./load/create_backend.ts");

/** The variables that choose the backend, in the order in which they are read. */
export const BACKEND_VARIABLES = {
  /** Memory, whatever else is set. */
  noPersist: "VM_OIDC_NO_PERSIST",
  /** The backend's name. */
  name: "VM_OIDC_CREDENTIALS_BACKEND",
  /** The backend's options. */
  options: "VM_OIDC_CREDENTIALS_BACKEND_KWARGS",
} as const;

/** The choice of a backend by the environment. */
export interface BackendChoice {
  /** The backend as a setting names it. Absent where a variable decides that may not be read. */
  readonly name?: string;
  /** The variable that chose. Absent for the default, the file. */
  readonly by?: string;
  /** The variables that the choice needs, in the order in which they are read. */
  readonly variables: readonly string[];
}

/**
 * Reads which backend the environment chooses. Loading, permissions and the command line all ask
 * here, so that they cannot differ.
 */
export function readBackendChoice(read: EnvReader): BackendChoice {
  const { noPersist, name, options } = BACKEND_VARIABLES;
  const flag = read(noPersist);
  if (parseFlag(noPersist, flag ?? undefined)) {
    return { name: "memory", by: noPersist, variables: [noPersist] };
  }
  const text = read(name);
  const variables: string[] = [noPersist, name];
  if (text) return { name: text, by: name, variables: [...variables, options] };
  if (text === "") variables.push(options);
  if (text !== null) checkNoOptions(text === "" ? read(options) : readEnvIfGranted(options));
  if (flag === null || text === null) return { variables };
  return { name: "file", variables: [...variables, HOME_VARIABLE] };
}

/** Refuses options without a name: the plain file instead of the meant store would be a downgrade. */
function checkNoOptions(text: string | undefined | null): void {
  if (!text) return;
  const { name, options } = BACKEND_VARIABLES;
  throw new CredentialsBackendError(
    "backend_spec_invalid",
    `Cannot choose a credentials backend: ${options} is set, and ${name} is empty or not set. Name ` +
      `the backend of these options in ${name}, or unset ${options}.`,
  );
}

/** One instance per setting, so that a second `init()` in a process finds the first one's entries. */
const instances = new Map<string, Promise<OidcCredentialsBackend>>();

/** The backend that `setDefaultBackend` set last. */
let defaultBackend: OidcCredentialsBackend | undefined;

/**
 * The backend that `init()` uses: the argument, else the backend of `setDefaultBackend`, else the
 * backend that the environment names, else the file that the Python library shares.
 *
 * Needs nothing for the first two. For the others it needs the permissions of `loadBackendFromEnv`
 * and `FileCredentialsBackend`.
 *
 * @param backend The caller's choice, if any.
 * @param options How a backend that the environment names is run.
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
  options: LoadBackendOptions = {},
): Promise<OidcCredentialsBackend> {
  if (backend !== undefined) {
    assertCredentialsBackend(backend, "credentialsBackend");
    return backend;
  }
  return getDefaultBackend() ?? await loadBackendFromEnv(options) ?? defaultFileBackend();
}

/**
 * Sets the backend that this process uses wherever none is passed. It wins over the environment. For
 * a platform team's start-up code, and for modules that the environment cannot name.
 *
 * Needs no permission.
 *
 * @param backend The backend, or `undefined` to go back to the environment.
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
 * Options of {@linkcode loadBackendFromEnv}.
 *
 * @category Backends
 */
export interface LoadBackendOptions {
  /**
   * Isolates a third-party backend, which the environment names by its module: in a Worker, or with
   * `as: "process"` in a Deno of its own. It has the permissions that are named here, and no other. A
   * module that is a file, or imports files, needs `read` of them, and one from JSR `import` of
   * `jsr.io:443`. A built-in backend is not affected.
   *
   * A Worker keeps honest code within its grant, and is no sandbox for code that you do not trust. A
   * process holds against such code too, and **needs `--allow-run` of Deno, which amounts to every
   * permission for your program**. {@linkcode IsolateOptions} tells what neither holds against.
   *
   * @default the backend runs in this process, with its permissions
   */
  isolate?: IsolateOptions;
}

/**
 * The backend that the environment names. A platform team chooses a store by it for people, who write
 * no code for it.
 *
 * `VM_OIDC_NO_PERSIST` (`1`, `true`, `yes`) wins and gives memory. Else
 * `VM_OIDC_CREDENTIALS_BACKEND` is `file`, `memory`, `kv`, `vault`, `keychain`, `encrypted`,
 * `fallback`, or `<module>:<ExportName>` of a `jsr:`, `npm:` or `file:` module or a path from the
 * working directory. Its constructor gets the JSON object in `VM_OIDC_CREDENTIALS_BACKEND_KWARGS`, in
 * which `${NAME}` stands for a variable. Options without a name are an error. Where `encrypted` and
 * `fallback` take a backend, the object has its name, or `{"name": …, "options": {…}}`. Equal
 * settings give the same instance within a process.
 *
 * Needs `--allow-env=VM_OIDC_NO_PERSIST,VM_OIDC_CREDENTIALS_BACKEND`. Where the latter is set, also
 * empty, it needs `VM_OIDC_CREDENTIALS_BACKEND_KWARGS` and the variables that the options expand,
 * and for a path `--allow-read` of the module. A denied variable is an error: a rule of the host must
 * not be missed.
 *
 * @param options How a third-party backend is run.
 * @returns The backend, or `undefined` where the environment names none.
 * @throws {CredentialsBackendError} `permission_required`, `env_invalid`, `backend_spec_invalid`,
 * `backend_import_unsupported`, `backend_kwargs_invalid`, `env_unset`, `backend_import_failed`,
 * `backend_export_missing`, `backend_not_constructible`, `invalid_backend`, `invalid_options`.
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
export async function loadBackendFromEnv(
  { isolate }: LoadBackendOptions = {},
): Promise<OidcCredentialsBackend | undefined> {
  const { noPersist, name, options } = BACKEND_VARIABLES;
  const choice = readBackendChoice((variable) =>
    // An empty text is not an unset variable here.
    readEnv(variable, "choose a credentials backend") ?? Deno.env.get(variable)
  );
  if (choice.by === undefined) return undefined;
  if (choice.by === noPersist) return await shared("memory", () => new MemoryCredentialsBackend());
  const { parseBackendKwargs, parseBackendSpec } = await loadBackendSetting();
  const spec = parseBackendSpec(choice.name!, name);
  const text = readEnv(options, "read the backend's options");
  const kwargs = text === undefined ? {} : parseBackendKwargs(text, options);
  const { createBackend } = await loadCreateBackend();
  return await shared(
    JSON.stringify([spec, kwargs, isolate]),
    () => createBackend(spec, kwargs, { origin: { name, options }, ...(isolate && { isolate }) }),
  );
}

/** The file backends that are used where nothing else is chosen, by path. */
const defaultFiles = new Map<string, FileCredentialsBackend>();

function defaultFileBackend(): FileCredentialsBackend {
  const made = new FileCredentialsBackend();
  const backend = defaultFiles.get(made.path) ?? made;
  defaultFiles.set(made.path, backend);
  return backend;
}

/**
 * The result of `resolveCredentialsBackend()` where it is the default file and Deno permits its use;
 * `undefined` elsewhere. Most starts have no other backend, and run no more than this.
 */
export function plainBackend(readEnv: EnvReader): FileCredentialsBackend | undefined {
  if (defaultBackend !== undefined || !readEnv(HOME_VARIABLE)) return undefined;
  const isChosen = Object.values(BACKEND_VARIABLES).some((name) => readEnv(name) !== undefined);
  if (isChosen) return undefined;
  const backend = defaultFileBackend();
  const { state } = Deno.permissions.querySync({ name: "read", path: backend.path });
  return state === "granted" ? backend : undefined;
}

function shared(
  setting: string,
  create: () => OidcCredentialsBackend | Promise<OidcCredentialsBackend>,
): Promise<OidcCredentialsBackend> {
  let instance = instances.get(setting);
  if (instance === undefined) {
    instance = Promise.try(create);
    instances.set(setting, instance);
    instance.catch(() => instances.delete(setting));
  }
  return instance;
}
