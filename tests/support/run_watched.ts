// deno-lint-ignore-file no-console -- it says why it ended a run
/** Nothing is silent for as long. */
const SILENCE_SECONDS = 300;
/** No test takes as long: Deno names each that runs for over 1, 2, 4, … minutes. */
const TEST_MINUTES = 4;
/**
 * Variables that a company or a person may have set, and that would change a test: those of this module, of
 * Deno, and of proxies. The tests are persons, who are asked: so they do not see `CI` either.
 */
const CHANGES_TESTS = new RegExp(
  "^(?:CI|(?:VM|VAULT|BAO|ACTIONS_ID_TOKEN)_.*|(?:HTTPS?|ALL|NO)_PROXY|XDG_CONFIG_HOME|FORCE_COLOR|BROWSER" +
    "|NODE_OPTIONS|DENO_(?!DIR$|CERT$|JOBS$|NO_UPDATE_CHECK$|TLS_CA_STORE$).*)$",
  "i",
);
const STILL_RUNS = /^.*has been running for over \((?:(\d+)m)?.*$\n?/gm;
// deno-lint-ignore no-control-regex -- colors of a terminal
const COLORS = /\x1b\[[\d;]*m/g;

/**
 * Runs Deno, and ends it where a test, or the silence, takes too long. What it says goes on at once.
 * It sees none of the variables that would change a test: a test sets those that it is about.
 *
 * @returns Whether it ended well.
 */
export async function runWatched(
  command: readonly string[],
  options: Omit<Deno.CommandOptions, "args" | "stdin" | "stdout" | "stderr" | "signal">,
): Promise<boolean> {
  const abort = new AbortController();
  const [program, ...args] = command;
  const outer = Object.entries(Deno.env.toObject()).filter(([name]) => !CHANGES_TESTS.test(name));
  const child = new Deno.Command(program!, {
    ...options,
    env: { ...Object.fromEntries(outer), ...options.env },
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
      const text = new TextDecoder().decode(bytes).replaceAll(COLORS, "");
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
