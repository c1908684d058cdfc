/**
 * Environment, permissions and standard error; paths, hosts and arguments as the system writes them. No
 * layer over Deno: other parts ask it themselves, behind {@linkcode needDeno}. Node and Bun run what
 * needs no more than this file and the standards of the web.
 */
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import type { BackendPermission } from "../oidc_credentials_backend.ts";

export const isDeno: boolean = "Deno" in globalThis;

export const isWindows: boolean = isDeno && Deno.build.os === "windows";

/** The variable that names the home folder. */
export const HOME_VARIABLE = isWindows ? "USERPROFILE" : "HOME";

/** Whether a permission is there without a question. Elsewhere there are none to ask for. */
export function isGranted(permission: Deno.PermissionDescriptor): boolean {
  return !isDeno || Deno.permissions.querySync(permission).state === "granted";
}

/** Whether an error says that Deno denies a permission. */
export function isNotCapable(error: unknown): error is Error {
  return isDeno && error instanceof Deno.errors.NotCapable;
}

/** The kernel of the notebook that this code runs in, if it runs in one. */
export function notebook(): typeof Deno.jupyter | undefined {
  try {
    return Deno.jupyter; // throws outside a kernel
  } catch {
    return undefined;
  }
}

export function writeError(text: string): void {
  if (isDeno) Deno.stderr.writeSync(new TextEncoder().encode(text));
  // deno-lint-ignore no-console -- Node ends a program whose `process.stderr` is closed at a write
  else console.error(text.replace(/\n$/, ""));
}

/** Shows a warning of a store, unless the caller takes it. */
export function warnOnStderr(message: string): void {
  writeError(`@validmind/auth: ${message}\n`);
}

/** Refuses a Deno that is too old. */
export function assertRuntime(action: string): void {
  if (isDeno && !("tryLockSync" in Deno.FsFile.prototype)) {
    throw unsupported(
      `Cannot ${action}: it needs Deno 2.7.1 or newer, and this is Deno ${Deno.version.deno}. Run: ` +
        `deno upgrade`,
    );
  }
}

/** Refuses Node and Bun, and a Deno that is too old. */
export function needDeno(action: string, instead = OTHER_STORES): void {
  if (!isDeno) throw unsupported(`Cannot ${action}: it needs Deno. ${instead}`);
  assertRuntime(action);
}

const OTHER_STORES = "Pass another credentialsBackend: MemoryCredentialsBackend (or set " +
  "VM_OIDC_NO_PERSIST=1), or VaultCredentialsBackend.";

function unsupported(message: string): CredentialsBackendError {
  return new CredentialsBackendError("runtime_unsupported", message);
}

/** The text of a variable. Throws where Deno denies it. */
export function getEnv(name: string): string | undefined {
  return isDeno ? Deno.env.get(name) : node?.env[name];
}

/** Deno takes as long for its `process` as for a start. A browser has none. */
const node = isDeno
  ? undefined
  : (globalThis as { process?: { env: Record<string, string | undefined> } }).process;

/** The variables that choose the backend, in the order in which they are read. */
export const BACKEND_VARIABLES = {
  /** Memory, whatever else is set. */
  noPersist: "VM_OIDC_NO_PERSIST",
  /** The backend's name and options, for this module alone. */
  ownName: "VM_OIDC_DENO_CREDENTIALS_BACKEND",
  ownOptions: "VM_OIDC_DENO_CREDENTIALS_BACKEND_KWARGS",
  /** The same for the Python library as well. */
  name: "VM_OIDC_CREDENTIALS_BACKEND",
  options: "VM_OIDC_CREDENTIALS_BACKEND_KWARGS",
} as const;

/** The text of a variable; `undefined` where it is unset, blank or not granted. Nobody is asked. */
export function readEnvIfGranted(name: string): string | undefined {
  const text = isEnvGranted(name) ? getEnv(name) : undefined;
  return text?.trim() ? text : undefined;
}

/** A variable's text: `undefined` where it is not set, `null` where it may not be read. */
export type EnvReader = (variable: string) => string | undefined | null;

export function isEnvGranted(name: string): boolean {
  return isGranted({ name: "env", variable: name });
}

/**
 * Reads a variable that the caller needs. `undefined` where it is unset or blank; an error where Deno
 * does not grant it. Nobody is asked.
 */
export function readEnv(name: string, purpose: string): string | undefined {
  if (isEnvGranted(name)) return readEnvIfGranted(name);
  throw new CredentialsBackendError(
    "permission_required",
    `Cannot ${purpose}: Deno does not permit the variable ${name}. ` +
      `Run with --allow-env=${name}.`,
  );
}

/**
 * The value of a variable that is yes or no; `undefined` where it is unset or empty. Any other word is
 * an error: its meaning must not be guessed.
 */
export function parseFlag(name: string, value: string | undefined): boolean | undefined {
  const text = value?.trim().toLowerCase() ?? "";
  if (["1", "true", "yes"].includes(text)) return true;
  if (["0", "false", "no"].includes(text)) return false;
  if (text === "") return undefined;
  throw new CredentialsBackendError(
    "env_invalid",
    `Cannot read the variable ${name}: it is neither 1, true or yes nor 0, false or no. Set it to ` +
      `one of these, or unset it.`,
  );
}

/** Host and port as `--allow-net` takes them, with the default port that `URL.host` omits. */
export function netHost(url: URL): string {
  return `${url.hostname}:${url.port || (url.protocol === "https:" ? "443" : "80")}`;
}

/**
 * Refuses a request that Deno would deny: with a Blob as its body, which Deno sends as a stream, a denied
 * one would keep the process from ending. Not for a `fetch` of the caller's.
 */
export function assertNet(url: URL): void {
  const host = netHost(url);
  if (isGranted({ name: "net", host })) return;
  throw new Deno.errors.NotCapable(`Requires net access to "${host}"`);
}

/**
 * The path of a `file:` URL; `undefined` for any other one. Every start would read the seven modules of
 * `@std/path` for it.
 */
export function pathOfUrl(url: URL, onWindows: boolean = isWindows): string | undefined {
  if (url.protocol !== "file:") return undefined;
  try {
    const path = decodeURIComponent(url.pathname);
    if (!onWindows) return path;
    const host = url.hostname && `//${url.hostname}`;
    return `${host}${path.replace(/^\/(?=[A-Za-z]:)/, "")}`.replaceAll("/", "\\");
  } catch {
    return undefined;
  }
}

/** An argument as this system's shell takes it. */
export function quoteArgument(argument: string): string {
  const plain = isWindows ? /^[\w\-./:=,@%+\\]+$/ : /^[\w\-./:=,@%+]+$/;
  if (plain.test(argument)) return argument;
  return isWindows ? `"${argument.replaceAll('"', '\\"')}"` : quotePosix(argument);
}

/** An argument in the single quotes of a POSIX shell. */
export function quotePosix(argument: string): string {
  return `'${argument.replaceAll("'", `'\\''`)}'`;
}

/** A flag of Deno, for an error. */
export function permissionFlag(name: string, ...values: readonly string[]): string {
  return values.some((one) => one.includes(","))
    ? `a permission set in deno.json with ${JSON.stringify({ [name]: values })}`
    : quoteArgument(`--allow-${name}=${values}`);
}

/**
 * Whether a URL's host name is this host itself: `localhost`, 127.0.0.0/8 or `[::1]`. Not
 * `*.localhost`: that is a DNS name, which may lead to another host.
 */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

/** Whether secrets may travel to a URL: over `https:`, or over `http:` on this host's loopback. */
export function isSecureUrl(url: URL): boolean {
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname));
}

/** A secure URL that holds no secret itself, which would be shown with it; `null` for any other text. */
export function parsePlainUrl(text: string): URL | null {
  const url = URL.parse(text);
  const isPlain = url !== null && url.username + url.password + url.search + url.hash === "";
  return isPlain && isSecureUrl(url) ? url : null;
}

/** Whether Deno takes a store's path for the address of a KV Connect server: only in lower case. */
export function isUrl(path: string): boolean {
  return /^https?:\/\//.test(path);
}

/**
 * The folder that holds the file at `path`.
 *
 * Every start calls this. The fourteen modules of `@std/path` for it would cost a start more than
 * reading the file.
 */
export function folderOf(path: string): string {
  const [, root = "", rest = ""] = (isWindows ? /^([A-Za-z]:[/\\]*|[/\\]*)(.*)$/s : /^(\/*)(.*)$/s)
    .exec(path) ?? [];
  const parent = rest.replace(isWindows ? /[/\\]*[^/\\]*[/\\]*$/ : /\/*[^/]*\/*$/, "");
  return `${root}${parent}` || ".";
}

/** The last part of a path. */
export function nameOf(path: string): string {
  return path.split(isWindows ? /[/\\]/ : "/").at(-1)!;
}

/** What storing takes in a folder, with the home folder's variable where the path comes from it. */
export function folderNeeds(folder: string, isBelowHome: boolean): BackendPermission[] {
  return [
    { name: "read", path: folder, need: "sign_in" },
    { name: "write", path: folder, need: "sign_in" },
    ...isBelowHome ? [{ name: "env", variable: HOME_VARIABLE } as const] : [],
  ];
}

/** The choice of a backend by the environment. */
export interface BackendChoice {
  /** The backend as a setting names it. Absent where a variable decides that may not be read. */
  readonly name?: string;
  /** The variable that chose. Absent for the default, the file. */
  readonly by?: string;
  /** The variable of the backend's options. Absent where the choice has none. */
  readonly options?: string;
  /** The variables that the choice needs. */
  readonly variables: readonly string[];
}

/**
 * Reads which backend the environment chooses. Loading, permissions and the command line all ask
 * here, so that they cannot differ. The options belong to the name beside them and to no other.
 */
export function readBackendChoice(read: EnvReader): BackendChoice {
  const { noPersist, ownName, ownOptions, name, options } = BACKEND_VARIABLES;
  const flag = read(noPersist);
  if (parseFlag(noPersist, flag ?? undefined)) {
    return { name: "memory", by: noPersist, variables: [noPersist] };
  }
  const variables: string[] = [noPersist];
  let isKnown = flag !== null;
  for (const [by, its] of [[ownName, ownOptions], [name, options]] as const) {
    const set = read(by);
    const text = typeof set === "string" ? set.trim() : set;
    variables.push(by, ...(typeof text === "string" ? [its] : []));
    if (text) return { name: text, by, options: its, variables };
    if (text === null) isKnown = false;
    else checkNoOptions(by, its, text === "" ? read(its) : readEnvIfGranted(its));
  }
  return isKnown ? { name: "file", variables: [...variables, HOME_VARIABLE] } : { variables };
}

/** Refuses options without a name: the plain file instead of the meant store would be a downgrade. */
function checkNoOptions(name: string, options: string, text: string | undefined | null): void {
  if (!text?.trim()) return;
  throw new CredentialsBackendError(
    "backend_spec_invalid",
    `Cannot choose a credentials backend: ${options} is set, and ${name} is empty or not set. Name ` +
      `the backend of these options in ${name}, or unset ${options}.`,
  );
}

/** A variable in the options of a backend. */
export const REFERENCE = /\$\{([^}]*)\}/g;
export const VARIABLE = /^[A-Za-z_]\w{0,199}$/;

/** The variables in the text of a backend's options. */
export function variablesIn(text: string): string[] {
  const names = [...text.matchAll(REFERENCE)].map(([, name = ""]) => name);
  return [...new Set(names.filter((name) => VARIABLE.test(name)))];
}

/** Whether a module is named by its path. */
export function isPathSpecifier(specifier: string): boolean {
  return /^(\.{0,2}[/\\]|[A-Za-z]:[/\\])/.test(specifier);
}
