import { fromFileUrl } from "@std/path";
import { delay } from "../../backends/common/promises.ts";
import {
  ALL,
  type ProcessResult,
  runDeno,
  runProcess,
  startDeno,
} from "../support/deno_process.ts";
import { pythonWithLibrary } from "../support/servers/python_library.ts";
import { Random } from "./random.ts";
import { type Attempt, attempt, AttemptProcess, describeAttempt } from "./attempt.ts";
import { SignedIn } from "./signed_in.ts";
import { fileStore, type Store } from "./store.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

/** Acknowledged writes of one program. */
export interface BesideResult {
  written: number;
  /** Overwritten by the other program. */
  lost: number;
  /** Of the lost ones those of which nobody was told, and which were not put back. */
  unnoticed: number;
}

/** The file that both programs use, as the Python library has it in a home. */
interface SharedFile {
  /** The interpreter that has the library. */
  readonly python: string;
  readonly store: Store;
  /** The variables of the Python process. */
  readonly env: Record<string, string>;
}

const PYTHON_CHILD = fromFileUrl(new URL("./python_child.py", import.meta.url));
/** How often one session refreshes while Python writes. */
const REFRESHES = 5;
/** Enough writes to last for as long as these refreshes, each of which waits a second for Python. */
const WRITES = 600;
/** Ours is late by up to this time, since a start of Python takes longer, or Python by the half of it. */
const LONGEST_DELAY_MS = 400;
/** A process that takes longer is killed. */
const LIMIT_MS = 600_000;
const CHILD = new URL("beside_python_child.ts", import.meta.url).href;

/** Writes to one file while the Python library, which has no lock, writes to it, too. */
export async function writeBesidePython(options: TortureOptions): Promise<TortureResult> {
  const { count, seed } = options;
  return await withSharedFile(
    `${count} writes beside ${count} of Python`,
    options,
    async (shared) => {
      const { env } = shared.store;
      const [ours, theirs] = await Promise.all([
        jsonOf<BesideResult>(
          runDeno({
            file: CHILD,
            flags: ALL,
            args: ["put", `${count}`, `${seed}`],
            env,
            timeoutMs: LIMIT_MS,
          }),
        ),
        jsonOf<BesideResult>(runPython(shared, "put", `${count}`)),
      ]);
      return {
        figures: {
          "acknowledged": ours.written,
          "overwritten by Python": ours.lost,
          "of them unnoticed": ours.unnoticed,
          "Python's overwritten": theirs.lost,
        },
        failures: ours.unnoticed > 0 ? [`${ours.unnoticed} writes were lost without notice`] : [],
      };
    },
  );
}

/** Refreshes in one session while Python writes to other keys of the file: the grant must live on. */
export async function refreshBesideWrites(options: TortureOptions): Promise<TortureResult> {
  const name = `${options.count} sessions of ${REFRESHES + 1} refreshes beside writes of Python`;
  return await judged(name, options, async (signedIn, shared, round) => {
    const { provider: { issuer, clientId }, env } = signedIn;
    const args = ["session", issuer, clientId, `${REFRESHES}`, `${options.seed + round}`];
    await using child = startDeno({ file: CHILD, flags: ALL, args, env });
    const writes = jsonOf(runPython(shared, "put", `${WRITES}`));
    await child.line();
    await writes;
    await child.write("\n");
    const { codes }: { codes: string[] } = JSON.parse(await child.line());
    await child.end();
    return codes;
  });
}

/**
 * Starts a process of ours and one of Python's at once on one expired token, in a file that Python has
 * used before; each second time of a sign-in by ours. Either may be late, so that each step of the one
 * meets each step of the other.
 */
export async function refreshBesideRefresh(options: TortureOptions): Promise<TortureResult> {
  const random = new Random(options.seed);
  const name = `${options.count} refreshes by both at once`;
  return await judged(name, options, async (signedIn, shared, round) => {
    if (round === 0) {
      await signedIn.expire();
      await refreshByPython(signedIn, shared);
    }
    if (round % 2 === 1) await signedIn.signInAnew();
    return await refreshByBoth(signedIn, shared, random);
  });
}

/** The same at Python's first use of the file, of which nothing tells before. */
export async function refreshBesideFirst(options: TortureOptions): Promise<TortureResult> {
  const random = new Random(options.seed);
  const name = `${options.count} refreshes by both at once, Python's first`;
  return await judged(name, options, async (signedIn, shared) => {
    await signedIn.signInAnew({ all: true });
    return await refreshByBoth(signedIn, shared, random);
  });
}

async function refreshByBoth(
  signedIn: SignedIn,
  shared: SharedFile,
  random: Random,
): Promise<string[]> {
  await signedIn.expire();
  const lateMs = random.int(-LONGEST_DELAY_MS / 2, LONGEST_DELAY_MS);
  const both = await Promise.all([
    delay(Math.max(0, lateMs)).then(() => new AttemptProcess(signedIn).result()),
    delay(Math.max(0, -lateMs)).then(() => refreshByPython(signedIn, shared)),
  ]);
  return both.map((found) => describeAttempt({ codes: [], ...found }));
}

function refreshByPython(signedIn: SignedIn, shared: SharedFile): Promise<Partial<Attempt>> {
  const { issuer, clientId } = signedIn.provider;
  return jsonOf<Partial<Attempt>>(runPython(shared, "refresh", issuer, clientId));
}

/** Plays rounds with one sign-in, and counts those after which nobody gets a token any more. */
async function judged(
  name: string,
  options: TortureOptions,
  play: (signedIn: SignedIn, shared: SharedFile, round: number) => Promise<string[]>,
): Promise<TortureResult> {
  return await withSharedFile(name, options, async (shared) => {
    const failures: string[] = [];
    const answers = new Map<string, number>();
    await SignedIn.run(shared.store, async (signedIn) => {
      for (let round = 0; round < options.count; round++) {
        for (const answer of await play(signedIn, shared, round)) {
          answers.set(answer, (answers.get(answer) ?? 0) + 1);
        }
        const found = await attempt(signedIn);
        const isAlive = found.token !== undefined &&
          (await signedIn.provider.ask(await signedIn.token())).isActive;
        if (isAlive) continue;
        failures.push(`round ${round}: the grant is dead: ${describeAttempt(found)}`);
        await signedIn.signIn();
      }
    });
    const told = [...answers].map(([answer, times]) => `${answer} ${times}×`).join(", ") || "none";
    return { figures: { "dead grants": failures.length, "answers": told }, failures };
  });
}

async function withSharedFile(
  name: string,
  { folder }: TortureOptions,
  fn: (shared: SharedFile) => Promise<Omit<TortureResult, "name">>,
): Promise<TortureResult> {
  const python = await pythonWithLibrary();
  if (python === undefined) {
    const figures = { "left out": "no Python library: run `deno task servers`" };
    return { name, figures, failures: [] };
  }
  await using store = await fileStore(`${folder}/.validmind`);
  return { name, ...await fn({ python, store, env: { HOME: folder } }) };
}

function runPython({ python, env }: SharedFile, ...args: string[]): Promise<ProcessResult> {
  return runProcess([python, PYTHON_CHILD, ...args], { env, timeoutMs: LIMIT_MS });
}

/** The line of JSON that a process prints. */
async function jsonOf<T>(process: Promise<ProcessResult>): Promise<T> {
  const { stdout, stderr } = await process;
  if (stdout === "") throw new Error(`A process failed: ${stderr}`);
  return JSON.parse(stdout);
}
