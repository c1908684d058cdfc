/**
 * The one way in which tests start Deno. A child sees none of this process's variables but the few
 * named here, and reads this repository's deno.json where it is not told otherwise.
 */
import { fromFileUrl } from "@std/path";
import { linesOf } from "./lines_of.ts";

/** The process around a command. */
interface ProcessOptions {
  /** Variables beyond those of {@linkcode childEnv}. */
  env?: Readonly<Record<string, string>>;
  /** `true` hands down this process's whole environment: for `npm`, whose settings it may hold. */
  inheritEnv?: boolean;
  /** @default {the folder of `code`, or this process's} */
  cwd?: string | URL;
}

/** Options of {@linkcode runProcess}. */
export interface RunProcessOptions extends ProcessOptions {
  /** Text for standard input, which is closed otherwise. */
  stdin?: string;
  /** After this time the process is killed, in milliseconds. @default {30000, on Windows 90000} */
  timeoutMs?: number;
}

/** A script, or its code, exactly one of which has to be given, and the process that runs it. */
interface ScriptOptions extends ProcessOptions {
  /** TypeScript source, run from a temporary file. `@validmind/auth` and the import map work in it. */
  code?: string;
  /** A script's path, or a URL. */
  file?: string;
  /** Permission and other flags of `deno run`, such as `["--allow-net=127.0.0.1"]`. */
  flags?: readonly string[];
  /** Arguments of the script. */
  args?: readonly string[];
  /** `false` leaves Deno to find the deno.json of the script. @default {true} */
  config?: boolean;
  /** Whether Deno may ask for a permission, which needs a terminal. @default {false} */
  prompt?: boolean;
  /** Makes the command that starts this command line, such as one of `setpriv`. */
  wrap?: (command: string[]) => string[];
}

/** Options of {@linkcode runDeno}. */
export type RunDenoOptions = ScriptOptions & RunProcessOptions;

type ScriptFile = Omit<ScriptOptions, "code"> & { file: string };

/** How a process ended. */
export interface ProcessResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A script in a process of its own that a test talks with while it runs. */
export type RunningDeno = ReturnType<typeof startDeno>;

/** Flags of a script that may do everything. */
export const ALL: readonly string[] = ["-A", "--unstable-kv"];

/** A test file lives for a second: with room for what is new, hardly any of it is collected before the end. */
export const ROOMY = "--v8-flags=--min-semi-space-size=16";

const isWindows = Deno.build.os === "windows";
/** Processes start slowly on Windows, and more so under Wine. */
const LIMIT_MS = isWindows ? 90_000 : 30_000;

const ROOT = new URL("../../", import.meta.url);
const CONFIG = fromFileUrl(new URL("deno.json", ROOT));
/** `DENO_COVERAGE_DIR` is set in a run with coverage, which counts the lines that children run. */
const INHERITED = ["PATH", "TMPDIR", "DENO_COVERAGE_DIR"];
/** Programs of Windows do not start without these; and there Deno colors what goes to a pipe. */
const INHERITED_ON_WINDOWS = ["SystemRoot", "TEMP", "TMP", "PATHEXT", "ComSpec", "NO_COLOR"];

/** The program that runs this process. */
export const DENO: string = Deno.execPath();

let denoDir: string | undefined;

/** The folder of Deno's module cache, which a child without its parent's `HOME` would not find. */
export function findDenoDir(): string {
  denoDir ??= Deno.env.get("DENO_DIR") ?? askDenoDir();
  return denoDir;
}

function askDenoDir(): string {
  const args = ["info", "--json", "--no-config"];
  const { stdout } = new Deno.Command(DENO, { args, stderr: "inherit" }).outputSync();
  return JSON.parse(new TextDecoder().decode(stdout)).denoDir;
}

/**
 * All variables of a child: `PATH`, `TMPDIR`, `DENO_DIR`, the ones that its system needs, and the given ones.
 * Windows has its home folder in `USERPROFILE`, which follows `HOME` there.
 */
function childEnv(env: Readonly<Record<string, string>> = {}): Record<string, string> {
  const all: Record<string, string> = { DENO_DIR: env.DENO_DIR ?? findDenoDir() };
  for (const name of [...INHERITED, ...(isWindows ? INHERITED_ON_WINDOWS : [])]) {
    const value = Deno.env.get(name);
    if (value !== undefined) all[name] = value;
  }
  if (isWindows && env.HOME !== undefined) all.USERPROFILE = env.HOME;
  return { ...all, ...env };
}

/** The command line that runs a script with Deno. */
export function denoCommand(options: ScriptFile): [string, ...string[]] {
  const { file, flags = [], args = [], config = true, prompt = false } = options;
  return [
    ...[DENO, "run", "--quiet"] as const,
    ...(prompt ? [] : ["--no-prompt"]),
    ...(config ? ["--config", CONFIG] : []),
    ...flags,
    file,
    ...args,
  ];
}

/** Starts a program. Its streams are piped if they are not told otherwise; its input is closed. */
export function spawnProcess(
  [program, ...args]: readonly string[],
  { env, inheritEnv = false, ...options }: ProcessOptions & Deno.CommandOptions,
): Deno.ChildProcess {
  return new Deno.Command(program!, {
    args,
    clearEnv: !inheritEnv,
    env: inheritEnv ? env : childEnv(env),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...options,
  }).spawn();
}

/** Runs a program to its end. */
export async function runProcess(
  command: readonly string[],
  { stdin, timeoutMs = LIMIT_MS, ...options }: RunProcessOptions = {},
): Promise<ProcessResult> {
  const child = spawnProcess(command, {
    ...options,
    stdin: stdin === undefined ? "null" : "piped",
  });
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill("SIGKILL");
  }, timeoutMs);
  if (stdin !== undefined) await writeAll(child.stdin, stdin);
  const { code, stdout, stderr } = await child.output();
  clearTimeout(timer);
  if (timedOut) throw new Error(`Cannot finish ${command[0]}: killed after ${timeoutMs} ms`);
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Whether a program is there, and ends without an error. */
export async function succeeds(command: readonly string[], options?: RunProcessOptions) {
  try {
    return (await runProcess(command, options)).code === 0;
  } catch {
    return false;
  }
}

/** Runs a program to its end, which has to be a good one. Gives its standard output. */
export async function mustRun(command: readonly string[], options?: RunProcessOptions) {
  const { code, stdout, stderr } = await runProcess(command, options);
  if (code === 0) return stdout;
  throw new Error(`Cannot finish ${command.slice(0, 3).join(" ")}: code ${code}. ${stderr.trim()}`);
}

async function writeAll(stream: WritableStream<Uint8Array>, text: string): Promise<void> {
  const writer = stream.getWriter();
  try {
    await writer.write(new TextEncoder().encode(text));
    await writer.close();
  } catch {
    // The child may end without reading its input.
  }
}

/** Runs a script in a Deno process of its own, with only the permissions in `flags`. */
export async function runDeno({ code, ...options }: RunDenoOptions): Promise<ProcessResult> {
  using script = scriptOf(code, options.file);
  const { wrap, flags, args, config, prompt, ...process } = options;
  const command = denoCommand({ file: script.file, flags, args, config, prompt });
  return await runProcess(wrap?.(command) ?? command, { cwd: script.folder, ...process });
}

/** Runs another subcommand of Deno, such as `["publish", "--dry-run"]`. */
export async function runDenoTool(args: readonly string[], options?: RunProcessOptions) {
  return await runProcess([DENO, ...args], options);
}

/** What `deno info --json` says; `args` are the module, and further flags. */
export async function denoInfo<T>(args: readonly string[]): Promise<T> {
  return JSON.parse(await mustRun([DENO, "info", "--json", ...args], { cwd: ROOT }));
}

/** Starts a script, with streams of Deno's. */
export function spawnDeno(options: ScriptFile & Pick<Deno.CommandOptions, "stdin" | "stderr">) {
  const { file, flags, args, config, prompt, wrap, ...process } = options;
  const command = denoCommand({ file, flags, args, config, prompt });
  return spawnProcess(wrap?.(command) ?? command, process);
}

/** Starts a script, to talk with it. It has to end when its standard input does. */
export function startDeno({ code, ...options }: ScriptOptions) {
  const script = scriptOf(code, options.file);
  const child = spawnDeno({ cwd: script.folder, ...options, file: script.file, stdin: "piped" });
  const output = linesOf(child.stdout);
  const errors = new Response(child.stderr).text();
  const input = child.stdin.getWriter();
  const finish = async (stdout = ""): Promise<ProcessResult> => {
    const { code } = await child.status;
    return { code, stdout, stderr: await errors };
  };
  const kill = async () => {
    try {
      child.kill("SIGKILL");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended by itself
    }
    await child.status;
  };
  return {
    pid: child.pid,
    /** Ends it as a crash would, and waits until it is gone. */
    kill,
    /** The next line of its standard output. Throws at its end, with its standard error. */
    async line(): Promise<string> {
      const { done, value } = await output.next();
      if (done) throw new Error(`The script ended: ${await errors}`);
      return value;
    },
    /** Writes to its standard input. */
    write: (text: string) => input.write(new TextEncoder().encode(text)),
    /** Closes its standard input, and waits until it ends. */
    async end() {
      await input.close().catch(() => undefined); // it may have ended
      const rest = await Array.fromAsync(output);
      return await finish(rest.map((line) => `${line}\n`).join(""));
    },
    async [Symbol.asyncDispose]() {
      await kill();
      await input.abort().catch(() => undefined);
      await output.return(undefined);
      if (!child.stdout.locked) await child.stdout.cancel(); // no line was asked for
      await finish();
      script[Symbol.dispose]();
    },
  };
}

/** The script's file, and the folder of code that was given. */
function scriptOf(code?: string, file?: string): Disposable & { file: string; folder?: string } {
  if (code === undefined) return { file: file!, [Symbol.dispose]: () => {} };
  const folder = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "validmind-auth-" }));
  Deno.writeTextFileSync(`${folder}/main.ts`, code);
  const remove = () => Deno.removeSync(folder, { recursive: true });
  return { file: `${folder}/main.ts`, folder, [Symbol.dispose]: remove };
}

/** The address of a module of `backends/`, to import in a child. */
export function backendUrl(file: string): string {
  return new URL(`backends/${file}`, ROOT).href;
}
