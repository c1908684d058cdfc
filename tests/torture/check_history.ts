import { linesOf } from "../support/oidc_provider_main.ts";
import { findAnomaly, type Operation } from "./linearizability.ts";
import { spawnModule } from "./spawn_module.ts";
import type { StartStore } from "./store.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

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
  readonly #child: Deno.ChildProcess;
  readonly #lines: AsyncGenerator<string>;
  readonly #complaint: Promise<string>;

  constructor(options: HistoryChildOptions, env: Readonly<Record<string, string>>) {
    const args = [JSON.stringify(options)];
    this.#child = spawnModule("history_child.ts", args, { stdin: "piped", env });
    this.#lines = linesOf(this.#child.stdout);
    this.#complaint = new Response(this.#child.stderr).text();
  }

  async ready(): Promise<void> {
    await this.#line();
  }

  async run(): Promise<Outcome> {
    const input = this.#child.stdin.getWriter();
    await input.write(new Uint8Array([10]));
    const outcome: Outcome = JSON.parse(await this.#line());
    await input.close().catch(() => undefined); // it may have ended
    await this.#child.status;
    await this.#lines.return(undefined);
    // JSON has no Infinity, and gives null instead.
    const history = outcome.history.map((one) => ({
      ...one,
      returnedAt: one.returnedAt ?? Infinity,
    }));
    return { ...outcome, history };
  }

  async #line(): Promise<string> {
    const { done, value } = await this.#lines.next();
    if (done) throw new Error(`A process of the history ended: ${await this.#complaint}`);
    return value;
  }
}
