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
  /** Called with all that came so far, whenever more has come; `"^C"` presses Ctrl-C. */
  onText?: (text: string) => void | "^C";
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
    if (onText?.(text) === "^C") await writer.write(new Uint8Array([3]));
  }
  clearTimeout(timer);
  const status = await child.status;
  await writer.close().catch(() => undefined);
  return { text, code: status.code };
}
