/** A server in a process of its own, which ends with this process whatever becomes of it. */
export type ServerProcess = Awaited<ReturnType<typeof startServerProcess>>;

/** Python was seen to wait for a thread of its own, at the end of JupyterLab, for ever. */
const GRACE_MS = 30_000;

/** Options of {@linkcode startServerProcess}. */
export interface ServerProcessOptions {
  /** The program and its arguments. */
  command: string[];
  /** Where it says that it is ready. */
  readyOn: "stdout" | "stderr";
  /** The part of a line that says so: its first group is what it says. */
  ready: RegExp;
  env?: Record<string, string>;
}

/**
 * Ends when the server does. Its other half passes signals on from standard input, and kills the
 * server when that closes: no server outlives its test, not even if both the test and this shell,
 * which Deno kills as it ends, were killed.
 */
const KEEPER = `
"$@" </dev/null &
pid=$!
exec 3<&0 >&- 2>&-
(while read -r signal; do kill -s "$signal" "$pid"; done; kill -s KILL "$pid") <&3 &
exec 3<&-
wait "$pid"
`;

/**
 * Starts a server and waits until it says that it is ready.
 *
 * @throws {Error} If it ends before; the error has what it said.
 */
export async function startServerProcess(options: ServerProcessOptions) {
  const { command, readyOn, ready, env } = options;
  const child = new Deno.Command("sh", {
    args: ["-c", KEEPER, "sh", ...command],
    env,
    stdin: "piped",
    stdout: readyOn === "stdout" ? "piped" : "null",
    stderr: readyOn === "stderr" ? "piped" : "null",
  }).spawn();
  const input = child.stdin.getWriter();
  const output = child[readyOn].pipeThrough(new TextDecoderStream()).getReader();
  const { said, text } = await readUntil(output, ready);
  // A pipe that nobody reads fills up, and then the server stops at its next word.
  const drained = drain(output);
  const signal = async (name: string) => {
    await input.write(new TextEncoder().encode(`${name}\n`));
    if (name === "STOP") await untilStopped(child.pid);
  };
  const ended = (async () => {
    await child.status;
    await input.close();
    await drained;
  })();
  if (said === undefined) {
    await ended;
    throw new Error(`Cannot start ${command[0]}: it said ${JSON.stringify(text)}`);
  }
  return {
    /** What it said when it was ready. */
    said,
    /** Sends it a signal, such as `STOP` and `CONT` to make it silent for a while. */
    signal,
    /** Sends it a signal that ends it, and waits for its end. What stands still is killed after the grace. */
    async end(name: "TERM" | "KILL"): Promise<void> {
      try {
        await signal("CONT");
        await signal(name);
      } catch {
        // It has ended by itself.
      }
      const timer = setTimeout(() => void signal("KILL").catch(() => undefined), GRACE_MS);
      try {
        await ended;
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

/** The shell passes a signal on in its own time: what is sent to the server until then is answered. */
async function untilStopped(shell: number): Promise<void> {
  for (;;) {
    const children = await Deno.readTextFile(`/proc/${shell}/task/${shell}/children`);
    for (const pid of children.trim().split(" ")) {
      if (/\) T /.test(await Deno.readTextFile(`/proc/${pid}/stat`))) return;
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** What the ready line says, and all that came until then; no `said` if the server ended before. */
async function readUntil(output: ReadableStreamDefaultReader<string>, ready: RegExp) {
  for (let text = "";;) {
    const [said] = text.split("\n").slice(0, -1).flatMap((line) => ready.exec(line)?.[1] ?? []);
    if (said !== undefined) return { said, text };
    const { done, value } = await output.read();
    if (done) return { text };
    text += value;
  }
}

async function drain(output: ReadableStreamDefaultReader<string>): Promise<void> {
  while (!(await output.read()).done);
}
