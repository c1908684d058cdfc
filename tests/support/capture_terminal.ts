import { tempDir } from "./temp_home.ts";
import { findDenoDir } from "./run_script.ts";

const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

/** Options of {@linkcode captureTerminal}. */
export interface CaptureOptions {
  /** TypeScript source. */
  code: string;
  args?: string[];
  flags?: string[];
  env?: Record<string, string>;
  /** @default {80} */
  columns?: number;
  /** @default {40} */
  rows?: number;
  /** Called with the whole text whenever more has come; gives text to type, `"^C"` for Ctrl-C. */
  onText?: (text: string) => void | string;
}

/** What a terminal was sent, escape codes and all, and how the program ended. */
export interface Captured {
  text: string;
  code: number;
}

/** Runs a script in a pseudo-terminal of util-linux's `script`, which its three streams are. */
export async function captureTerminal(options: CaptureOptions): Promise<Captured> {
  const { code, args = [], flags = [], env = {}, columns = 80, rows = 40, onText } = options;
  await using dir = await tempDir();
  await Deno.writeTextFile(`${dir.path}/main.ts`, code);
  const quoted = args.map((arg) => `'${arg.replaceAll("'", `'\\''`)}'`);
  const run = [Deno.execPath(), "run", "--quiet", "--config", CONFIG, ...flags, "main.ts"];
  const size = `stty cols ${columns} rows ${rows}`;
  await using child = new Deno.Command("script", {
    args: ["-qec", `${size}; exec ${[...run, ...quoted].join(" ")}`, "/dev/null"],
    cwd: dir.path,
    clearEnv: true,
    env: {
      DENO_DIR: await findDenoDir(),
      HOME: dir.path,
      PATH: Deno.env.get("PATH") ?? "",
      SHELL: "/bin/sh",
      ...env,
    },
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), 30_000);
  const writer = child.stdin.getWriter();
  let text = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const typed = onText?.(text);
    if (typed !== undefined) {
      await writer.write(new TextEncoder().encode(typed === "^C" ? "\x03" : typed));
    }
  }
  clearTimeout(timer);
  const status = await child.status;
  await writer.close().catch(() => undefined);
  return { text, code: status.code };
}
