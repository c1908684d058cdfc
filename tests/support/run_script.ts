import { tempDir } from "./temp_home.ts";

/** Options of {@linkcode runDeno}. Exactly one of `code` and `file` has to be given. */
export interface RunDenoOptions {
  /** TypeScript source, run from a temporary file. `@validmind/auth` and the import map work in it. */
  code?: string;
  /** A script's path, or a URL. */
  file?: string;
  /** Permission and other flags of `deno run`, such as `["--allow-net=127.0.0.1"]`. */
  flags?: string[];
  /** Arguments of the script. */
  args?: string[];
  /** Variables beyond `PATH` and `DENO_DIR`. */
  env?: Record<string, string>;
  /** `false` hands down this process's whole environment. @default {true} */
  clearEnv?: boolean;
  /** @default {the folder of the temporary file, or this process's} */
  cwd?: string;
  /** Text for standard input, which is closed otherwise. */
  stdin?: string;
  /** After this the child is killed. @default {30000} */
  timeoutMs?: number;
}

/** How a child ended. */
export interface RunDenoResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const CONFIG = `${import.meta.dirname}/../../deno.json`;
/** Windows programs do not start without these. */
const PLATFORM_VARIABLES = ["SystemRoot", "TEMP", "TMP"];

let denoDir: Promise<string> | undefined;

/** Runs a script in a Deno process of its own, with `--no-prompt` and only the permissions in `flags`. */
export async function runDeno(options: RunDenoOptions): Promise<RunDenoResult> {
  if ((options.code === undefined) === (options.file === undefined)) {
    throw new TypeError("Cannot run Deno: give either code or file");
  }
  await using dir = await tempDir();
  const file = options.file ?? `${dir.path}/main.ts`;
  if (options.code !== undefined) await Deno.writeTextFile(file, options.code);
  const { flags = [], args = [], clearEnv = true, timeoutMs = 30_000 } = options;
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--config", CONFIG, ...flags, file, ...args],
    clearEnv,
    env: { ...await baseEnv(), ...options.env },
    ...workingDirectory(options, dir.path),
    stdin: options.stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  });
  return await finish(command, timeoutMs, options.stdin);
}

function workingDirectory({ cwd, code }: RunDenoOptions, temporary: string): { cwd?: string } {
  if (cwd !== undefined) return { cwd };
  return code === undefined ? {} : { cwd: temporary };
}

async function finish(
  command: Deno.Command,
  timeoutMs: number,
  stdin?: string,
): Promise<RunDenoResult> {
  const child = command.spawn();
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill("SIGKILL");
  }, timeoutMs);
  if (stdin !== undefined) await writeAll(child.stdin, stdin);
  const { code, stdout, stderr } = await child.output();
  clearTimeout(timer);
  if (timedOut) throw new Error(`Cannot finish script: killed after ${timeoutMs} ms`);
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
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

async function baseEnv(): Promise<Record<string, string>> {
  denoDir ??= findDenoDir();
  const env: Record<string, string> = { DENO_DIR: await denoDir };
  const coverage = Deno.env.get("DENO_COVERAGE_DIR");
  if (coverage !== undefined) env.DENO_COVERAGE_DIR = coverage;
  for (const name of ["PATH", ...PLATFORM_VARIABLES]) {
    const value = Deno.env.get(name);
    if (value !== undefined) env[name] = value;
  }
  return env;
}

/** Without its parent's HOME the child would not find the module cache by itself. */
export async function findDenoDir(): Promise<string> {
  const given = Deno.env.get("DENO_DIR");
  if (given !== undefined) return given;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "--no-config"],
    stdout: "piped",
  }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).denoDir;
}
