/** A script in a Deno process of its own that a test talks with while it runs. */
export interface Child extends AsyncDisposable {
  readonly pid: number;
  /** The next line that it prints; an empty text at its end. */
  line(): Promise<string>;
  /** Ends it as a crash would, and waits until it is gone. */
  kill(): Promise<void>;
}

const CONFIG = `${import.meta.dirname}/../../deno.json`;

/** Starts a script that is allowed everything. It has to end when its standard input does. */
export async function startChild(
  code: string,
  env: Record<string, string> = {},
): Promise<Child> {
  const folder = await Deno.makeTempDir({ prefix: "validmind-auth-" });
  const file = `${folder}/main.ts`;
  await Deno.writeTextFile(file, code);
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", "--unstable-kv", "--config", CONFIG, file],
    env,
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  const line = async () => {
    while (!rest.includes("\n")) {
      const { done, value } = await reader.read();
      if (done) break;
      rest += value;
    }
    const [first = "", ...more] = rest.split("\n");
    rest = more.join("\n");
    return first;
  };
  const kill = async () => {
    try {
      process.kill("SIGKILL");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended by itself
    }
    await process.status;
  };
  const dispose = async () => {
    await kill();
    await reader.cancel();
    await process.stdin.abort().catch(() => {});
    await Deno.remove(folder, { recursive: true });
  };
  return { pid: process.pid, line, kill, [Symbol.asyncDispose]: dispose };
}

/** The address of a module of `backends/`, to import in a child. */
export function backendUrl(file: string): string {
  return new URL(`../../backends/${file}`, import.meta.url).href;
}
