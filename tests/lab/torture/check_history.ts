import { ALL, type RunningDeno, startDeno } from "../../support/deno_process.ts";
import { findAnomaly, type Operation } from "./linearizability.ts";
import type { StartStore } from "./store.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

const CHILD = new URL("history_child.ts", import.meta.url).href;

/** Options of {@linkcode checkHistory}. */
export interface CheckHistoryOptions extends TortureOptions {
  startStore: StartStore;
  /** How many calls each process makes in a history. */
  calls: number;
}

/** What a process of a history starts with. */
export interface HistoryChildOptions {
  process: number;
  key: string;
  calls: number;
  seed: number;
}

interface Outcome {
  history: Operation[];
  /** How often a call failed, by the code of the error. */
  troubles: Record<string, number>;
}

const PROCESSES = 4;

/** Lets processes make random calls to one key at once, and checks that they are linearizable. */
export async function checkHistory(options: CheckHistoryOptions): Promise<TortureResult> {
  const name = `${options.count} histories of ${PROCESSES} processes`;
  if (Deno.build.os !== "linux") {
    return { name, figures: { "left out": "needs the clock of Linux" }, failures: [] };
  }
  await using store = await options.startStore(options.folder);
  const run = new HistoryRun(options, store.env);
  for (let round = 0; round < options.count; round++) await run.round(round);
  return { name, ...run.result() };
}

class HistoryRun {
  readonly #options: CheckHistoryOptions;
  readonly #env: Readonly<Record<string, string>>;
  readonly #failures: string[] = [];
  readonly #troubles = new Map<string, number>();
  #operations = 0;
  #overlapping = 0;

  constructor(options: CheckHistoryOptions, env: Readonly<Record<string, string>>) {
    this.#options = options;
    this.#env = env;
  }

  async round(round: number): Promise<void> {
    const { calls, seed } = this.#options;
    const key = `https://login.example.com|history-${round}`;
    const children = Array.from(
      { length: PROCESSES },
      (_, process) =>
        new HistoryProcess({ process, key, calls, seed: seed + PROCESSES * round }, this.#env),
    );
    await Promise.all(children.map((child) => child.ready()));
    const outcomes = await Promise.all(children.map((child) => child.run()));
    for (const { troubles } of outcomes) {
      for (const [code, times] of Object.entries(troubles)) {
        this.#troubles.set(code, (this.#troubles.get(code) ?? 0) + times);
      }
    }
    this.#check(round, outcomes.flatMap(({ history }) => history));
  }

  result(): Omit<TortureResult, "name"> {
    const troubles = [...this.#troubles].map(([code, times]) => `${code} ${times}×`);
    return {
      figures: {
        "operations": this.#operations,
        "of them beside another": this.#overlapping,
        "not linearizable": this.#failures.length,
        "errors on the way": troubles.join(", ") || "none",
      },
      failures: this.#failures,
    };
  }

  #check(round: number, history: readonly Operation[]): void {
    this.#operations += history.length;
    this.#overlapping += countOverlapping(history);
    const anomaly = findAnomaly(history);
    if (anomaly === undefined) return;
    const words = anomaly.map(({ process, kind, value }) => `${process} ${kind} ${value ?? "-"}`);
    this.#failures.push(`history ${round}: none of these can come next: ${words.join(", ")}`);
  }
}

/** The calls during which another process made one: without them nothing is tried. */
function countOverlapping(history: readonly Operation[]): number {
  let lastReturn = -Infinity;
  let count = 0;
  for (const one of history.toSorted((a, b) => a.calledAt - b.calledAt)) {
    if (one.calledAt < lastReturn) count++;
    if (one.returnedAt !== Infinity) lastReturn = Math.max(lastReturn, one.returnedAt);
  }
  return count;
}

class HistoryProcess {
  readonly #child: RunningDeno;

  constructor(options: HistoryChildOptions, env: Readonly<Record<string, string>>) {
    this.#child = startDeno({ file: CHILD, flags: ALL, args: [JSON.stringify(options)], env });
  }

  async ready(): Promise<void> {
    await this.#child.line();
  }

  async run(): Promise<Outcome> {
    await using child = this.#child;
    await child.write("\n");
    const outcome: Outcome = JSON.parse(await child.line());
    await child.end();
    // JSON has no Infinity, and gives null instead.
    const history = outcome.history.map((one) => ({
      ...one,
      returnedAt: one.returnedAt ?? Infinity,
    }));
    return { ...outcome, history };
  }
}
