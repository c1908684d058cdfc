import { pathOfUrl, readEnv } from "../common/platform.ts";
import { checkOptions, CredentialsBackendError } from "../credentials_backend_error.ts";

/**
 * Permissions and limits of a third-party backend that is isolated. A permission that is not named is
 * not granted.
 *
 * A Worker keeps honest code within its grant, and no more. A process is for code that you do not
 * trust. The outcome of each attack:
 *
 * | the backend tries to | in a Worker | in a process |
 * |---|---|---|
 * | read, write, connect or read variables beyond its grant | denied | denied |
 * | start a program, load a native library, ask about the system | denied unless granted | denied |
 * | send a signal to your program, or take its signals, such as Ctrl-C | succeeds | denied |
 * | open the inspector, to which all users of the computer can connect (not on Windows) | succeeds: they can read all that your program holds | ended at once |
 * | import an npm package, whose name can carry data out | succeeds | refused |
 * | import a remote module | denied unless granted | refused unless granted and in Deno's cache |
 * | read your program's standard input, write to its output | succeeds | out of reach |
 * | keep data in `caches` | succeeds | fails unless `import` is granted |
 * | open the default Deno KV database, if your program has `--unstable-kv` | succeeds | fails |
 * | send another answer than the one asked for | ended, `backend_corrupt` | ended, `backend_corrupt` |
 * | send more than 4 MiB at once | ended once it is in your memory | ended at 4 MiB |
 * | leave a call without an answer | `backend_timeout` | `backend_timeout` |
 * | loop for ever | `backend_timeout`; the loop goes on, and your program ends only by `Deno.exit` | `backend_timeout`; killed |
 * | outlive your program | ends with it | ends when its pipes close; a loop within a second of the end, but not on Windows, and not one that has stopped itself by a signal |
 *
 * What neither holds against: a backend reads every entry that it is given, and can change, withhold,
 * or send it to a host that you grant. It can use up memory and processor time until a limit ends it.
 * It runs as the same user, so a fault of Deno or of the operating system lets it out, and a grant to
 * write to a file that another program runs does, too. Its answers choose which tokens are used.
 *
 * The cost, as medians and quartiles in milliseconds of 40 rounds by turns, on a machine with two
 * cores and other work (`deno run -A --unstable-worker-options tests/bench/isolated_gets.ts --rounds
 * 40` in the repository):
 *
 * | | not isolated | in a Worker | in a process |
 * |---|---|---|---|
 * | loading, with the first `get` | 0.1 (0.1 to 0.1) | 49 (34 to 72) | 109 (88 to 137) |
 * | a later `get` | below 0.01 | 33 (21 to 39) | 0.6 (0.6 to 0.7) |
 *
 * @category Backends
 */
export interface IsolateOptions extends Deno.PermissionOptionsObject {
  /**
   * The form.
   *
   * `"worker"` runs the backend in a Worker of this process, anew for each use, so its memory does
   * not last. It needs `--unstable-worker-options` (or `"unstable": ["worker-options"]` in
   * deno.json): without it Deno itself ends the process, with a message that names the flag.
   *
   * `"process"` runs it in a Deno of its own, once, until your program ends. **It needs
   * `--allow-run` of the Deno executable, which amounts to every permission for your program**: code
   * in your program can then start a Deno with any permission. `env` names the variables that the
   * backend gets, and your program needs to read them. `run`, `sys` and `ffi` cannot be granted. It
   * resolves no `npm:` module, and remote modules, among them `jsr:`, only where `import` names their
   * host, and then only those in Deno's cache: run `deno cache jsr:@acme/vault` first. It reads no
   * `deno.json`, `package.json` or lock file. Not in a compiled program (`deno compile`), which has
   * no Deno executable.
   *
   * @default "worker"
   */
  as?: "worker" | "process";
  /**
   * The time limit of the start, in milliseconds, with the import of the module.
   *
   * @default 30_000
   */
  startTimeoutMs?: number;
  /**
   * The time limit of each call, in milliseconds. A call that takes longer ends the isolate, and is
   * `backend_timeout`.
   *
   * @default 30_000
   */
  callTimeoutMs?: number;
  /**
   * The time limit of a wait for the backend's lock, in milliseconds. After it the wait is given up,
   * with `backend_locked`.
   *
   * @default 120_000
   */
  lockTimeoutMs?: number;
}

/** The options of one isolate, checked. */
export interface Isolation {
  readonly as: "worker" | "process";
  readonly permissions: Deno.PermissionOptionsObject;
  readonly startTimeoutMs: number;
  readonly callTimeoutMs: number;
  readonly lockTimeoutMs: number;
}

const ACTION = "isolate the credentials backend";

const TYPES = {
  as: ["worker", "process"],
  read: "any",
  write: "any",
  net: "any",
  env: "any",
  sys: "any",
  run: "any",
  ffi: "any",
  import: "any",
  startTimeoutMs: "timeout",
  callTimeoutMs: "timeout",
  lockTimeoutMs: "timeout",
} as const satisfies Record<keyof IsolateOptions, unknown>;

/**
 * Checks `isolate`.
 *
 * @throws {CredentialsBackendError} `invalid_options`.
 */
export function checkIsolation(options: IsolateOptions): Isolation {
  checkOptions(ACTION, options, TYPES);
  const {
    as = "worker",
    startTimeoutMs = 30_000,
    callTimeoutMs = 30_000,
    lockTimeoutMs = 120_000,
    ...permissions
  } = options;
  if (as === "process") {
    permissionFlags(permissions);
    variableNames(permissions);
  }
  return { as, permissions, startTimeoutMs, callTimeoutMs, lockTimeoutMs };
}

/**
 * The permission flags of a process, one per kind.
 *
 * @throws {CredentialsBackendError} `invalid_options` for a permission that a process cannot have.
 */
export function permissionFlags(permissions: Deno.PermissionOptionsObject): string[] {
  for (const name of ["run", "sys", "ffi"] as const) {
    const value = permissions[name];
    if (value === undefined || value === false || isEmpty(value)) continue;
    throw invalid(`a process of its own cannot have "${name}"`, 'Leave it out, or use a "worker"');
  }
  const flags = (["read", "write", "net", "import"] as const).flatMap((name) =>
    oneFlag(name, permissions[name])
  );
  const variables = variableNames(permissions);
  return variables.length === 0 ? flags : [...flags, `--allow-env=${variables.join(",")}`];
}

function oneFlag(name: string, value: unknown): string[] {
  if (value === undefined || value === false || isEmpty(value)) return [];
  if (value === true) return [`--allow-${name}`];
  if (!Array.isArray(value)) throw unfit(name);
  // Deno's flags separate values by commas and have no way to write one.
  const fits = (text: string | undefined): text is string => !!text && !/[,\p{Cc}]/u.test(text);
  const texts = value.map((one) => one instanceof URL ? pathOfUrl(one) : one);
  if (!texts.every((one) => typeof one === "string" && fits(one))) throw unfit(name);
  return [`--allow-${name}=${texts.join(",")}`];
}

/**
 * The variables that a process gets. The names that change Deno itself are refused.
 *
 * @throws {CredentialsBackendError} `invalid_options`.
 */
export function variableNames({ env }: Deno.PermissionOptionsObject): string[] {
  if (env === undefined || env === false) return [];
  if (!Array.isArray(env)) throw invalid('"env" is no list of names', "Name each variable");
  const wrong = env.find((name) => typeof name !== "string" || !/^[A-Za-z_]\w*$/.test(name));
  if (wrong !== undefined) throw invalid('"env" has a wrong name', "Name each variable");
  const ofDeno = env.find((name) =>
    // Deno sends traces (OTEL_) to any host, whatever is permitted.
    /^(LD_|DYLD_|NODE_|OTEL_|DENO_(?!CERT$|TLS_CA_STORE$)|(TMPDIR|TMP|TEMP)$)/i.test(name)
  );
  if (ofDeno === undefined) return env;
  throw invalid(`the variable ${ofDeno} changes how its Deno runs`, 'Leave it out of "env"');
}

/** The variables that a process gets, with their values here. One that is not set is left out. */
export function namedVariables(permissions: Deno.PermissionOptionsObject): Record<string, string> {
  const read = (name: string) => readEnv(name, "hand a variable to the isolated backend");
  return Object.fromEntries(
    variableNames(permissions).map((name) => [name, read(name)]).filter(([, value]) => value),
  );
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

function unfit(name: string): CredentialsBackendError {
  return invalid(
    `"${name}" is neither a boolean nor a list of values without commas`,
    "Name each value",
  );
}

function invalid(reason: string, advice: string): CredentialsBackendError {
  return new CredentialsBackendError(
    "invalid_options",
    `Cannot ${ACTION}: ${reason}. ${advice}.`,
  );
}
