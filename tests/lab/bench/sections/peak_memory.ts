import { type BenchOptions, type BenchSection, toRows } from "../bench_section.ts";
import { benchEntry, benchHome, CLIENT_ID, denoProgram, ISSUER, KEY } from "../bench_world.ts";
import { type Peers, writePeerCaches } from "../peers.ts";
import { summarize } from "../summary.ts";
import { DENO, mustRun } from "../../../support/deno_process.ts";

/** The most memory that a start holds at once, as the kernel counts it. Linux only. */
export async function peakMemory(
  { folder, effort }: BenchOptions,
  peers: Peers,
): Promise<BenchSection> {
  const env = { HOME: await benchHome(folder) };
  const { msal, google } = await writePeerCaches(folder, benchEntry().access_token);
  const onDeno = (program: string, args: string[]): string[] => [
    ...[DENO, "run", "-A", `${peers.folder}/${program}`],
    ...args,
  ];
  const base = "read and parse the same file";
  const commands: [string, string[]][] = [
    [base, denoProgram("read_parse.ts", KEY)],
    ["this module, file", denoProgram("cached_start.ts", ISSUER, CLIENT_ID)],
    ...(peers.node === undefined ? [] : [
      ["msal-node on Deno", onDeno("msal_start.mjs", msal)],
      ["google-auth-library on Deno", onDeno("google_start.mjs", google)],
    ] as [string, string[]][]),
  ];
  const measured = new Map(commands.map(([name]) => [name, [] as number[]]));
  for (let round = 0; round < Math.ceil(10 * effort); round++) {
    for (const [name, command] of commands) {
      measured.get(name)!.push(await peakMegabytes(command, env));
    }
  }
  const summaries = new Map([...measured].map(([name, values]) => [name, summarize(values)]));
  const rows = toRows(summaries, base);
  return { title: "Peak memory of a cold start", unit: "MB", base, rows };
}

/** By GNU time's figure, which bash's own `time` does not have: read from a wrapper in Python. */
async function peakMegabytes(command: string[], env: Record<string, string>): Promise<number> {
  const code = "import resource,subprocess,sys;subprocess.run(sys.argv[1:],check=True);" +
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
  return Number(await mustRun(["python3", "-c", code, ...command], { env })) / 1024;
}
