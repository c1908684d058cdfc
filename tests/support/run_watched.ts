// deno-lint-ignore-file no-console -- it says why it ended a run
/** Nothing is silent for as long. */
const SILENCE_SECONDS = 300;
/** No test takes as long: Deno names each that runs for over 1, 2, 4, … minutes. */
const TEST_MINUTES = 4;
const STILL_RUNS = /^.*has been running for over \((?:(\d+)m)?.*$\n?/gm;

/**
 * Runs Deno, and ends it where a test, or the silence, takes too long. What it says goes on at once.
 * It does not see `CI`: the tests are persons, who are asked, and set it where they are not.
 *
 * @returns Whether it ended well.
 */
export async function runWatched(
  command: readonly string[],
  options: Omit<Deno.CommandOptions, "args" | "stdin" | "stdout" | "stderr" | "signal">,
): Promise<boolean> {
  const abort = new AbortController();
  const [program, ...args] = command;
  const { CI: _, ...env } = { ...Deno.env.toObject(), ...options.env };
  const child = new Deno.Command(program!, {
    ...options,
    env,
    clearEnv: true,
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: abort.signal,
  }).spawn();
  let last = performance.now();
  const end = (reason: string) => {
    if (abort.signal.aborted) return;
    console.log(`Ended: ${reason}`);
    abort.abort();
  };
  const pass = async (from: ReadableStream<Uint8Array>, to: typeof Deno.stdout) => {
    for await (const bytes of from) {
      for (let at = 0; at < bytes.length;) at += to.writeSync(bytes.subarray(at));
      const text = new TextDecoder().decode(bytes);
      for (const [line, minutes] of text.matchAll(STILL_RUNS)) {
        if (Number(minutes) >= TEST_MINUTES) end(line.trim());
      }
      if (text.replace(STILL_RUNS, "").trim() !== "") last = performance.now();
    }
  };
  const timer = setInterval(() => {
    const isSilent = performance.now() - last > SILENCE_SECONDS * 1000;
    if (isSilent) end(`nothing was said for ${SILENCE_SECONDS} s.`);
  }, 1000);
  try {
    await Promise.all([pass(child.stdout, Deno.stdout), pass(child.stderr, Deno.stderr)]);
    return (await child.status).success;
  } finally {
    clearInterval(timer);
  }
}
