import { quotePosix } from "../../backends/common/runtime.ts";
import { spawnDeno, succeeds } from "./deno_process.ts";
import { tempDir } from "./temp_home.ts";

/** Options of {@linkcode captureTerminal}. */
export interface CaptureOptions {
  /** TypeScript source. */
  code: string;
  args?: string[];
  flags?: string[];
  env?: Record<string, string>;
  /** @default {80} */
  columns?: number;
  /** A job in the background, as a shell starts it by `&`, or a program apart from the shell. */
  job?: "background" | "detached" | undefined;
  /** Called with the whole text whenever more has come; gives text to type, `"^C"` for Ctrl-C. */
  onText?: (text: string) => void | string | Promise<string | undefined>;
}

/** What a terminal was sent, escape codes and all, and how the program ended. */
export interface Captured {
  text: string;
  code: number;
}

/** Whether a pseudo-terminal can be had: util-linux's `script`. */
export const hasTerminal: boolean = await succeeds(["script", "-qec", "true", "/dev/null"]);

/** Runs a script in a pseudo-terminal of util-linux's `script`, which its three streams are. */
export async function captureTerminal(options: CaptureOptions): Promise<Captured> {
  const { code, args, flags, env, columns = 80, job, onText } = options;
  await using dir = await tempDir();
  await Deno.writeTextFile(`${dir.path}/main.ts`, code);
  const inTerminal = (command: string[]) => {
    const program = command.map(quotePosix).join(" ");
    const start = job === "background"
      ? `set -m; ${program} & wait $!`
      : `exec ${job === "detached" ? "setsid -w " : ""}${program}`;
    const line = `stty cols ${columns} rows 40; ${start}`;
    return ["script", "-qec", line, "/dev/null"];
  };
  await using child = spawnDeno({
    file: "main.ts",
    args,
    flags,
    prompt: true,
    wrap: inTerminal,
    cwd: dir.path,
    env: { HOME: dir.path, SHELL: "/bin/sh", ...env },
    stdin: "piped",
  });
  const errors = child.stderr.cancel();
  const timer = setTimeout(() => child.kill("SIGKILL"), 30_000);
  const writer = child.stdin.getWriter();
  let text = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const typed = await onText?.(text);
    if (typed !== undefined) {
      await writer.write(new TextEncoder().encode(typed === "^C" ? "\x03" : typed));
    }
  }
  clearTimeout(timer);
  const status = await child.status;
  await writer.close().catch(() => undefined);
  await errors;
  return { text, code: status.code };
}

/** Runs a script in a terminal where Deno may ask, and answers each of its questions. */
export async function runInTerminal(code: string, answers: string[], flags: string[] = []) {
  let answered = 0;
  const onText = async (text: string) => {
    if (text.split("Allow?").length - 1 <= answered) return undefined;
    // Deno throws away what was typed before the question could be read.
    await new Promise((resolve) => setTimeout(resolve, 200));
    return `${answers[answered++] ?? "n"}\n`;
  };
  const { text } = await captureTerminal({ code, flags, env: { NO_COLOR: "1" }, onText });
  return text.replaceAll("\r", "");
}
