// deno-lint-ignore-file no-console -- it tells what it does
/**
 * Puts random faults into the product, one at a time, and tells which of them no test notices:
 *
 *     nice deno run -A tests/lab/faults/faults.ts --faults=200 --seed=1 --room=backends/vault
 *
 * It works in a copy of the checkout in `--folder` (default: a folder of the system's temporary one).
 * `--faults` counts those that compile. Each first meets the tests of its own room, and all of
 * `deno task test` only where those pass.
 * `outcomes.jsonl` in the folder keeps what was found: the same command goes on where it was stopped, and
 * `--table` only prints the table. What cannot be noticed by any test is listed by hand, one `id` a line,
 * in `equivalent.txt` there. `--survivors` tries again what had survived, after tests were added.
 */
import { copyRepository } from "../../support/windows/copy_repository.ts";
import { readSource, roomOf, ROOMS, sourceFiles } from "../../support/rooms.ts";
import { Random } from "../torture/random.ts";
import { type Fault, findFaults } from "./find_faults.ts";

type End = "does not compile" | "noticed by its room" | "noticed" | "survived";

/** A line of `outcomes.jsonl`. */
interface Outcome {
  id: string;
  file: string;
  line: number;
  text: string;
  end: End;
  /** The first test that failed, or the reason. */
  by: string;
}

const ROOT = new URL("../../../", import.meta.url).pathname.replace(/\/$/, "");
const TEST = ["test", "-A", "--unstable-kv", "--parallel", "--no-check", "--fail-fast", "--quiet"];
const CHECK_SECONDS = 120;
const ALL_SECONDS = 1200;
/** How long the tests of a room may take with a fault in it: it may run in circles. */
const limits = new Map<number, number>();

const option = (name: string, otherwise: string): string =>
  Deno.args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3) ?? otherwise;

const FOLDER = option("folder", "/tmp/validmind-auth-faults");
const COPY = `${FOLDER}/copy`;
const OUTCOMES = `${FOLDER}/outcomes.jsonl`;

const read = (path: string): Promise<string> => Deno.readTextFile(path).catch(() => "");

/** Faults in random order. Kinds come equally often, files by their size. */
async function chooseFaults(count: number, seed: number, room: string): Promise<Fault[]> {
  const files = (await sourceFiles()).filter((file) => file.startsWith(room));
  const all = await Promise.all(
    files.map(async (file) => findFaults(file, await readSource(file))),
  );
  const kinds = [...Map.groupBy(all.flat(), ({ kind }) => kind).values()];
  const random = new Random(seed);
  const chosen = new Map<string, Fault>();
  while (chosen.size < count && kinds.some((faults) => faults.length > 0)) {
    const faults = kinds[random.int(0, kinds.length - 1)]!;
    const [fault] = faults.splice(random.int(0, Math.max(0, faults.length - 1)), 1);
    if (fault !== undefined) chosen.set(fault.id, fault);
  }
  return [...chosen.values()];
}

/** Runs Deno in the copy, with all that it starts, for a limited time. */
async function deno(args: string[], seconds: number): Promise<{ isGood: boolean; said: string }> {
  const command = new Deno.Command("timeout", {
    args: ["-k", "5", String(seconds), Deno.execPath(), ...args],
    cwd: COPY,
    env: { NO_COLOR: "1" },
    stdin: "null",
  });
  const { code, stdout, stderr } = await command.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { isGood: code === 0, said: code === 124 ? "time limit" : text(stdout) + text(stderr) };
}

/** The tests of the room that holds a file: its folder, and the files that begin with its name. */
async function testsOf(file: string): Promise<string[]> {
  const parts = file.replace(/\.ts$/, "").split("/");
  const stem = parts.slice(0, 2);
  const paths: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(`${COPY}/tests/${stem[0]}`)) {
    const isOwn = isDirectory
      ? name === stem[1]
      : name.startsWith(`${stem[1]}_`) && name.endsWith("_test.ts") && !name.includes("_slow_");
    if (isOwn) paths.push(`tests/${stem[0]}/${name}`);
  }
  return paths;
}

async function testRoom(file: string): Promise<{ isGood: boolean; said: string }> {
  const paths = file.includes("/") ? await testsOf(file) : ["tests/mod_test.ts"];
  if (paths.length === 0) return { isGood: true, said: "" };
  const limit = limits.get(roomOf(file)) ?? ALL_SECONDS;
  return await deno([...TEST, "--ignore=tests/**/*_slow_test.ts", ...paths], limit);
}

async function testAll(): Promise<{ isGood: boolean; said: string }> {
  const run = ["run", "-A", "tests/support/run_tests.ts", "--fail-fast"];
  const tests = await deno(run, ALL_SECONDS);
  if (!tests.isGood) return tests;
  return await deno(["run", "-A", "--unstable-kv", "tests/support/doc_tests.ts"], ALL_SECONDS);
}

async function tryFault(fault: Fault): Promise<Pick<Outcome, "end" | "by">> {
  const source = await readSource(fault.file);
  const changed = source.slice(0, fault.start) + fault.text + source.slice(fault.end);
  await Deno.writeTextFile(`${COPY}/${fault.file}`, changed);
  try {
    if (!(await deno(["check", "--quiet", fault.file], CHECK_SECONDS)).isGood) {
      return { end: "does not compile", by: "" };
    }
    const room = await testRoom(fault.file);
    if (!room.isGood) return { end: "noticed by its room", by: firstFailure(room.said) };
    const all = await testAll();
    return { end: all.isGood ? "survived" : "noticed", by: firstFailure(all.said) };
  } finally {
    await Deno.writeTextFile(`${COPY}/${fault.file}`, source);
  }
}

function firstFailure(said: string): string {
  return /^(.*) => \.\/(tests\/\S+):\d+/m.exec(said)?.slice(1).reverse().join(": ") ??
    /^.*(?:FAILED|error).*$/m.exec(said)?.[0] ?? said.slice(-200).trim();
}

/** What fails without a fault would seem to notice each. */
async function mustPass(files: Iterable<string>): Promise<void> {
  for (const file of files) {
    const started = performance.now();
    const { isGood, said } = await testRoom(file);
    limits.set(roomOf(file), Math.ceil(60 + 3 * (performance.now() - started) / 1000));
    if (!isGood) throw new Error(`Cannot start: a test of ${file} fails: ${firstFailure(said)}`);
  }
}

async function outcomes(): Promise<Map<string, Outcome>> {
  const lines = (await read(OUTCOMES)).split("\n").filter((line) => line !== "");
  return new Map(lines.map((line) => JSON.parse(line) as Outcome).map((one) => [one.id, one]));
}

async function printTable(): Promise<void> {
  const equivalent = new Set((await read(`${FOLDER}/equivalent.txt`)).split("\n"));
  const all = [...(await outcomes()).values()];
  const rooms = Map.groupBy(all, ({ file }) => roomOf(file));
  const row = (name: string, some: Outcome[]) => {
    const count = (...ends: End[]) => some.filter(({ end }) => ends.includes(end)).length;
    const alike = some.filter(({ id, end }) => end === "survived" && equivalent.has(id)).length;
    const real = some.length - count("does not compile") - alike;
    const noticed = count("noticed", "noticed by its room");
    const share = real === 0 ? "" : `${Math.round(100 * noticed / real)} %`;
    const cells = [some.length, some.length - real, count("noticed by its room"), noticed];
    console.log(`| ${[name, ...cells, real - noticed, share].join(" | ")} |`);
  };
  console.log("| room | put | not compiling, or equivalent | by its room | noticed | survived | |");
  console.log(`|${" --- |".repeat(7)}`);
  for (const [room, some] of [...rooms].sort(([a], [b]) => a - b)) row(ROOMS[room]!, some);
  row("all", all);
  for (const { id, line, text, end } of all) {
    if (end === "survived" && !equivalent.has(id)) console.log(`${line} -> ${text}\n  ${id}`);
  }
}

async function main(): Promise<void> {
  await Deno.mkdir(FOLDER, { recursive: true });
  if (Deno.args.includes("--table")) return await printTable();
  using lock = await Deno.open(`${FOLDER}/lock`, { write: true, create: true });
  await lock.lock(true);
  await copyRepository(ROOT, COPY);
  // One that was stopped has left its last fault.
  for (const file of await sourceFiles()) {
    await Deno.writeTextFile(`${COPY}/${file}`, await readSource(file));
  }
  const [count, seed] = [Number(option("faults", "200")), Number(option("seed", "1"))];
  const done = await outcomes();
  const isLeft = ({ id }: Fault) =>
    Deno.args.includes("--survivors") ? done.get(id)?.end === "survived" : !done.has(id);
  const chosen = await chooseFaults(5 * count, seed, option("room", "")); // many do not compile
  const faults = chosen.filter(isLeft);
  const isReal = (one?: Outcome) => one !== undefined && one.end !== "does not compile";
  let real = chosen.filter((one) => !isLeft(one) && isReal(done.get(one.id))).length;
  const firsts = Map.groupBy(faults, ({ file }) => roomOf(file));
  await mustPass([...firsts.values()].map(([fault]) => fault!.file));
  for (const [index, fault] of faults.entries()) {
    if (real >= count) break;
    const { id, file, line, text } = fault;
    const outcome: Outcome = { id, file, line, text, ...await tryFault(fault) };
    await Deno.writeTextFile(OUTCOMES, `${JSON.stringify(outcome)}\n`, { append: true });
    if (isReal(outcome)) real++;
    console.log(
      `${index + 1} (${real}/${count}) ${outcome.end}: ${id} (line ${line}) ${outcome.by}`,
    );
  }
  await printTable();
}

if (import.meta.main) await main();
