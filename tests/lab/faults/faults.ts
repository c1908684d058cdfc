// deno-lint-ignore-file no-console -- it tells what it does
/**
 * Puts random faults into the product, one at a time, and tells which of them no test notices:
 *
 *     nice deno run -A tests/lab/faults/faults.ts --faults=200 --seed=1 --room=backends/vault
 *
 * It works in a copy of the checkout in `--folder` (default: a folder of the system's temporary one).
 * `--faults` counts those that compile; each room gets its share by lines of code. A run with coverage tells
 * which test files run each line. A fault meets those of its own room first, then the quickest others. Those
 * that pass meet all tests of `deno task test`, several of them in one run: for each test that fails there,
 * halves of them are put in until one is left.
 *
 * A failure counts where the test that failed passes without the fault and fails again with it, so that a
 * busy machine notices nothing. A run that goes on for ever counts likewise. A test that fails without a
 * fault is told, and counts no more.
 *
 * `outcomes.jsonl` in the folder keeps what was found: the same command goes on where it was stopped.
 */
import { walk } from "@std/fs/walk";
import { copyRepository } from "../../support/copy_repository.ts";
import { findDenoDir } from "../../support/deno_process.ts";
import { junitCases } from "../../support/reports.ts";
import { codeLines, readSource, sourceFiles } from "../../support/rooms.ts";
import { Random } from "../torture/random.ts";
import { type Fault, findFaults } from "./find_faults.ts";

type End = "noticed by its room" | "passed near tests" | "noticed" | "survived";

/** What a test file runs: the lines of each source, and for how long. */
interface Reach {
  test: string;
  seconds: number;
  lines: Record<string, number[]>;
}

/** A line of `outcomes.jsonl`. */
interface Outcome {
  id: string;
  file: string;
  line: number;
  text: string;
  end: End;
  /** The test file that failed, and why it counts. */
  by: string;
}

/** What a run of tests found: a test file that fails, or nothing. */
interface Failure {
  file: string;
  how: string;
  /** The arguments of Deno that run what failed once more. */
  again: string[];
  seconds: number;
}

const STRICT = ["--no-check", "--sanitize-ops", "--sanitize-resources"];
const TEST = ["test", "-A", "--unstable-kv", "--parallel", "--quiet", ...STRICT];
const CHECK = ["check", "--quiet", "mod.ts", "backends", "client"];
const IGNORE = "--ignore=tests/**/*_slow_test.ts,tests/live/";
const ROOM_SECONDS = 240;
const ALL_SECONDS = 2400;
/** How long the tests of other rooms may take, before all of them are run for several faults at once. */
const OTHERS_SECONDS = 25;
/** Whether what failed passes without a fault. */
const sound = new Map<string, boolean>();
/** The names of the tests that do not. */
const unsound = new Set<string>();

const option = (name: string, otherwise: string): string =>
  Deno.args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3) ?? otherwise;

const DENO_DIR = findDenoDir(); // else each file that starts a process would ask for it
const FOLDER = option("folder", "/tmp/validmind-auth-faults");
const COPY = `${FOLDER}/copy`;
const OUTCOMES = `${FOLDER}/outcomes.jsonl`;

const read = (path: string): Promise<string> => Deno.readTextFile(path).catch(() => "");

/** A room with the public file that has its name; the other public files of a folder are one. */
function roomOf(file: string, files: readonly string[]): string {
  const [folder, name] = file.replace(/\.ts$/, "").split("/");
  if (name === undefined) return file;
  const room = `${folder}/${name}`;
  return files.some((other) => other.startsWith(`${room}/`)) ? room : `${folder}/*.ts`;
}

/** Faults in random order. Kinds come equally often, files by their size. */
function chooseFaults(all: Fault[], count: number, random: Random): Fault[] {
  const kinds = [...Map.groupBy(all, ({ kind }) => kind).values()];
  const chosen = new Map<string, Fault>();
  while (chosen.size < count && kinds.some((faults) => faults.length > 0)) {
    const faults = kinds[random.int(0, kinds.length - 1)]!;
    const [fault] = faults.splice(random.int(0, Math.max(0, faults.length - 1)), 1);
    if (fault !== undefined) chosen.set(fault.id, fault);
  }
  return [...chosen.values()];
}

/** Faults that compile: each room gets its share by lines, and they come by turns. */
async function chooseByRoom(): Promise<Fault[]> {
  const [count, random] = [
    Number(option("faults", "200")),
    new Random(Number(option("seed", "1"))),
  ];
  const files = await sourceFiles();
  const wanted = files.filter((file) => file.startsWith(option("room", "")));
  const sources = new Map<string, string>();
  for (const file of wanted) sources.set(file, await readSource(file));
  const linesOf = (some: string[]) => codeLines(some.map((file) => sources.get(file)!).join("\n"));
  const rooms = [...Map.groupBy(wanted, (file) => roomOf(file, files)).values()].map((some) => {
    const share = Math.round(count * linesOf(some) / linesOf(wanted));
    const all = some.flatMap((file) => findFaults(file, sources.get(file)!));
    return { share, faults: chooseFaults(all, 3 * share + 5, random) }; // many do not compile
  });
  const good = await compiling(rooms.flatMap(({ faults }) => faults));
  return rooms.flatMap(({ share, faults }) =>
    faults.filter((fault) => good.includes(fault)).slice(0, share)
      .map((fault, index) => ({ fault, turn: (index + 0.5) / share }))
  ).sort((a, b) => a.turn - b.turn).map(({ fault }) => fault);
}

/** Runs Deno in the copy, with all that it starts, for a limited time. */
async function deno(args: string[], seconds: number, env: Record<string, string> = {}) {
  const command = new Deno.Command("timeout", {
    args: ["-k", "5", String(seconds), Deno.execPath(), ...args],
    cwd: COPY,
    env: { NO_COLOR: "1", DENO_DIR, ...env },
    stdin: "null",
  });
  const { code, stdout, stderr } = await command.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, said: text(stdout) + text(stderr) };
}

/** Runs each test file alone, with coverage, and notes what it reaches. */
async function readReach(): Promise<Reach[]> {
  const known = await read(`${FOLDER}/reach.json`);
  if (known !== "") return JSON.parse(known);
  const reach: Reach[] = [];
  for await (const { path } of walk(`${COPY}/tests`, { match: [/_test\.ts$/] })) {
    const test = path.slice(COPY.length + 1);
    if (test.endsWith("_slow_test.ts") || test.startsWith("tests/live/")) continue;
    const data = `${FOLDER}/coverage`;
    await Deno.mkdir(data, { recursive: true });
    const start = Date.now();
    const args = [...TEST, `--coverage=${data}`, "--coverage-raw-data-only", test];
    const { code } = await deno(args, ROOM_SECONDS, { DENO_COVERAGE_DIR: data });
    const seconds = (Date.now() - start) / 1000;
    console.log(`${test}: ${code === 0 ? "" : "fails in any case, "}${seconds} s`);
    const { said } = await deno(["coverage", "--lcov", data], ROOM_SECONDS);
    const files = said.split("end_of_record").map((record): [string, number[]] => {
      const name = record.match(/^SF:(.*)$/m)?.[1] ?? "";
      const lines = record.matchAll(/^DA:(\d+),[1-9]/gm);
      return [name.slice(COPY.length + 1), Array.from(lines, ([, line]) => Number(line))];
    });
    reach.push({ test, seconds, lines: Object.fromEntries(files) });
    await Deno.remove(data, { recursive: true });
  }
  await Deno.writeTextFile(`${FOLDER}/reach.json`, JSON.stringify(reach));
  return reach;
}

/** Reads the product's promises, and runs none of its lines. */
const READER = "tests/rooms_test.ts";

/** The test files that run the line of a fault: those of its room, and the quickest others. */
function testsOf({ file, line, kind }: Fault, reach: readonly Reach[]): [Reach[], Reach[]] {
  const [folder, stem] = file.replace(/\.ts$/, "").split("/");
  const isOwn = ({ test }: Reach) => new RegExp(`^tests/${folder}/${stem}[_/]`).test(test);
  const isRead = kind === "drop await";
  const near = reach.filter(({ test, lines }) =>
    lines[file]?.includes(line) || isRead && test === READER
  )
    .sort((a, b) => +(b.test === READER) - +(a.test === READER) || a.seconds - b.seconds);
  let seconds = 0;
  const others = near.filter((one) => !isOwn(one) && (seconds += one.seconds) < OTHERS_SECONDS);
  return [near.filter(isOwn), others];
}

/** The first test that failed in a run; undefined where all passed. */
async function failureOf(args: string[], seconds: number): Promise<Failure | undefined> {
  const [failure] = await failuresOf(args, seconds);
  return failure;
}

/** The tests that failed in a run, without those that fail in any case. */
async function failuresOf(args: string[], seconds: number): Promise<Failure[]> {
  const report = `${FOLDER}/report.xml`;
  await Deno.remove(report).catch(() => {});
  const option = args[0] === "test" ? [`--junit-path=${report}`] : [];
  const { code, said } = await deno([...args, ...option], seconds);
  if (code === 0) return [];
  const failed = junitCases(await read(report) || "<testsuites ")
    .filter(({ outcome }) => outcome === "failed");
  if (failed.length === 0) {
    const how = code === 124 ? "goes on for ever" : said.slice(-300);
    return [{ file: "", how, again: args, seconds }];
  }
  const files = filesIn(said);
  return failed.filter(({ name }) => !unsound.has(name)).map((one) => {
    const { name } = one;
    // A test that a helper registers has the helper's name in the report.
    const file = files.get(name) ?? one.file;
    const paths = file.endsWith("_test.ts")
      ? [file]
      : args.filter((arg) => arg === IGNORE || arg.startsWith("tests/"));
    return { file, how: name, again: [...TEST, `--filter=${name}`, ...paths], seconds };
  });
}

/** The files of the tests that failed, by their names, as Deno tells them on the way. */
function filesIn(said: string): Map<string, string> {
  const lines = said.matchAll(/^\.\/(\S+) => (.*) \.\.\. FAILED\b/gm);
  return new Map(Array.from(lines, ([, file = "", name = ""]) => [name, file]));
}

/** All tests of `deno task test`, and the examples of the pages. */
async function testAll(): Promise<Failure[]> {
  const examples = ["run", "-A", "--unstable-kv", "tests/support/doc_tests.ts"];
  return [
    ...await failuresOf([...TEST, IGNORE, "tests/"], ALL_SECONDS),
    ...await failuresOf(examples, ALL_SECONDS),
  ];
}

/** Whether a failure is the fault's: it comes again with it, and does not come without it. */
async function isOfFault(
  { again, how, seconds }: Failure,
  change: (isFaulty: boolean) => Promise<void>,
): Promise<boolean> {
  if (await failureOf(again, seconds) === undefined) return false;
  await change(false);
  const key = again.join(" ");
  if (!sound.has(key)) sound.set(key, await failureOf(again, seconds) === undefined);
  await change(true);
  if (!sound.get(key)) unsound.add(how);
  return sound.get(key)!;
}

/** Puts a fault in, runs tests, and gives the failure that the fault makes. */
async function noticedBy(fault: Fault, tests: () => Promise<Failure | undefined>, attempts = 6) {
  const change = (isFaulty: boolean) => write(fault, isFaulty);
  try {
    await change(true);
    for (let attempt = 0; attempt < attempts; attempt++) {
      const failure = await tests();
      if (failure === undefined) return undefined;
      if (await isOfFault(failure, change)) return failure;
      console.log(`Not of the fault: ${describe(failure)}`);
    }
    return undefined;
  } finally {
    await change(false);
  }
}

const describe = ({ file, how }: Failure) => `${file}: ${how}`;

/** Those of some faults that compile: each stands in a file of its own, beside the sound one. */
async function compiling(faults: Fault[]): Promise<Fault[]> {
  const paths = faults.map(({ file }, index) => `${file.slice(0, -".ts".length)}_fault${index}.ts`);
  for (const [index, fault] of faults.entries()) {
    await Deno.writeTextFile(`${COPY}/${paths[index]}`, await faulty(fault));
  }
  const { said } = await deno(CHECK, ALL_SECONDS);
  for (const path of paths) await Deno.remove(`${COPY}/${path}`);
  return faults.filter((_, index) => !said.includes(`/${paths[index]}:`));
}

async function faulty({ file, start, end, text }: Fault): Promise<string> {
  const source = await readSource(file);
  return source.slice(0, start) + text + source.slice(end);
}

async function write(fault: Fault, isFaulty: boolean): Promise<void> {
  const source = isFaulty ? await faulty(fault) : await readSource(fault.file);
  await Deno.writeTextFile(`${COPY}/${fault.file}`, source);
}

/** The lines of `outcomes.jsonl`, by fault: the last one counts. */
async function outcomes(): Promise<Map<string, Outcome>> {
  const lines = (await read(OUTCOMES)).split("\n").filter((line) => line !== "");
  return new Map(lines.map((line) => JSON.parse(line) as Outcome).map((one) => [one.id, one]));
}

async function printTable(): Promise<void> {
  const [files, all] = [await sourceFiles(), [...(await outcomes()).values()]];
  const row = (name: string, some: Outcome[]) => {
    const counts = ["noticed by its room", "noticed", "survived"].map((end) =>
      some.filter((one) => one.end === end).length
    );
    console.log(`| ${[name, some.length, ...counts].join(" | ")} |`);
  };
  console.log("| room | put | by its room | by others | unnoticed |");
  console.log(`|${" --- |".repeat(5)}`);
  const rooms = Map.groupBy(all, ({ file }) => roomOf(file, files));
  for (const [room, some] of [...rooms].sort(([a], [b]) => a < b ? -1 : 1)) row(room, some);
  row("all", all);
  for (const { id, line, text } of all.filter(({ end }) => end === "survived")) {
    console.log(`${line} -> ${text}\n  ${id}`);
  }
}

/** Keeps an outcome, and tells it. */
async function record(fault: Fault, end: End, failure: Failure | undefined): Promise<void> {
  const { id, file, line, text } = fault;
  const by = failure === undefined ? "" : describe(failure);
  const outcome: Outcome = { id, file, line, text, end, by };
  await Deno.writeTextFile(OUTCOMES, `${JSON.stringify(outcome)}\n`, { append: true });
  console.log(`${new Date().toISOString()} ${end}: ${id} (line ${line}) ${by}`);
}

/** Tries each fault by the tests that run its line. */
async function tryNear(faults: readonly Fault[]): Promise<void> {
  const [done, reach] = [await outcomes(), await readReach()];
  for (const fault of faults) {
    if (done.has(fault.id)) continue;
    const [own, others] = testsOf(fault, reach);
    const run = async (some: Reach[]) => {
      if (some.length === 0) return undefined;
      const limit = some.reduce((sum, { seconds }) => sum + 5 * seconds, 20);
      const args = [...TEST, "--fail-fast", ...some.map(({ test }) => test)];
      return await noticedBy(fault, () => failureOf(args, limit));
    };
    const ofRoom = await run(own);
    const failure = ofRoom ?? await run(others);
    const noticed = ofRoom === undefined ? "noticed" : "noticed by its room";
    await record(fault, failure === undefined ? "passed near tests" : noticed, failure);
  }
}

/** Tries the faults that passed there by all tests, one fault of each file at a time. */
async function tryTogether(faults: readonly Fault[]): Promise<void> {
  let open = [...faults];
  while (open.length > 0) {
    const together = [...Map.groupBy(open, ({ file }) => file).values()].map(([first]) => first!);
    console.log(`All tests, with ${together.length} faults`);
    for (const fault of together) await write(fault, true);
    const failures = await testAll();
    for (const fault of together) await write(fault, false);
    const noticed = await attribute(failures, together);
    // One fault may have hidden another.
    const ended = noticed.size > 0 ? noticed : new Set(together);
    for (const fault of ended) if (!noticed.has(fault)) await record(fault, "survived", undefined);
    open = open.filter((fault) => !ended.has(fault));
  }
}

/** Finds the faults that make tests fail. */
async function attribute(failures: readonly Failure[], faults: readonly Fault[]) {
  const noticed = new Set<Fault>();
  console.log(`${failures.length} tests failed`);
  for (const failure of failures) {
    const fault = await culprit(failure, faults.filter((one) => !noticed.has(one)));
    if (fault === undefined) continue;
    const again = () => failureOf(failure.again, ROOM_SECONDS);
    const found = await noticedBy(fault, again, 1);
    if (found === undefined) continue;
    noticed.add(fault);
    await record(fault, "noticed", found);
  }
  return noticed;
}

/** One of some faults with which a test fails. */
async function culprit(failure: Failure, faults: readonly Fault[]): Promise<Fault | undefined> {
  if (faults.length === 0 || unsound.has(failure.how)) return undefined;
  for (const fault of faults) await write(fault, true);
  const hasFailed = await failureOf(failure.again, ROOM_SECONDS) !== undefined;
  for (const fault of faults) await write(fault, false);
  if (!hasFailed || faults.length === 1) return hasFailed ? faults[0] : undefined;
  const half = Math.ceil(faults.length / 2);
  return await culprit(failure, faults.slice(0, half)) ??
    await culprit(failure, faults.slice(half));
}

if (import.meta.main) {
  await Deno.mkdir(FOLDER, { recursive: true });
  using lock = await Deno.open(`${FOLDER}/lock`, { write: true, create: true });
  await lock.lock(true);
  await copyRepository(COPY);
  const chosen = `${FOLDER}/chosen.json`;
  if (await read(chosen) === "") {
    await Deno.writeTextFile(chosen, JSON.stringify(await chooseByRoom()));
  }
  const faults: Fault[] = JSON.parse(await read(chosen));
  await tryNear(faults);
  const found = await outcomes();
  await tryTogether(faults.filter(({ id }) => found.get(id)?.end === "passed near tests"));
  await printTable();
}
