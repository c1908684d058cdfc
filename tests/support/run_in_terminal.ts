import { tempDir } from "./temp_home.ts";
import { findDenoDir } from "./run_script.ts";

const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

/** Whether a pseudo-terminal can be had: util-linux's `script`. */
export const hasTerminal: boolean = (() => {
  try {
    const args = ["-qec", "true", "/dev/null"];
    return new Deno.Command("script", { args, stdout: "null", stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
})();

/** Runs a script in a terminal where Deno may ask, and answers each of its questions. */
export async function runInTerminal(
  code: string,
  answers: string[],
  flags: string[] = [],
): Promise<string> {
  await using dir = await tempDir();
  const file = `${dir.path}/main.ts`;
  await Deno.writeTextFile(file, code);
  const deno = [Deno.execPath(), "run", "--quiet", "--config", CONFIG, ...flags, file];
  await using child = new Deno.Command("script", {
    args: ["-qec", deno.join(" "), "/dev/null"],
    env: { DENO_DIR: await findDenoDir(), NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
  const writer = child.stdin.getWriter();
  const left = [...answers];
  let text = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const asked = text.split("Allow?").length - 1;
    if (asked <= answers.length - left.length) continue;
    // Deno throws away what was typed before the question could be read.
    await new Promise((resolve) => setTimeout(resolve, 200));
    await writer.write(new TextEncoder().encode(`${left.shift() ?? "n"}\n`));
  }
  clearTimeout(timer);
  await writer.close().catch(() => undefined);
  return text.replaceAll("\r", "");
}
