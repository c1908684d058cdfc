import { type Attempt, attempt, AttemptProcess, describeAttempt } from "./attempt.ts";
import { Random } from "./random.ts";
import { SignedIn } from "./signed_in.ts";
import type { StartStore } from "./store.ts";
import { type Step, STEPS } from "./stop_point.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

/** Options of {@linkcode pauseRefresh}. */
export interface PauseRefreshOptions extends TortureOptions {
  startStore: StartStore;
  /** Shortest time for which a process is stopped. */
  pauseMs: number;
  /** The longest. @default {half as long again} */
  longestMs?: number;
  /** How fast the clock of the processes beside it runs. @default {1} */
  clockRate?: number;
  /** The dead grants that are no failure, as a part of the pauses. @default {0} */
  tolerated?: number;
}

/** Processes that want the token while the first one is stopped. */
const RIVALS = 2;
/** The provider's answer to a refresh is held back: longer than the stopped process waits for it. */
const REFRESH_DELAY_MS = 400;
const POLL_MS = 10;

/**
 * Stops a process at each step of its refresh for longer than its lease lasts, while others want the
 * same token. Whatever they do, the sign-in must live on after the process has woken: the provider
 * rotates refresh tokens, and ends the grant when one is used twice.
 */
export async function pauseRefresh(options: PauseRefreshOptions): Promise<TortureResult> {
  const { count, pauseMs, startStore, folder, tolerated = 0 } = options;
  const longestMs = longestOf(options);
  await using store = await startStore(folder);
  const lanes = STEPS.map((step) => new Lane(step, options));
  await SignedIn.run(store, async (signedIn) => {
    await Promise.all(lanes.map((lane) => lane.run(signedIn)));
  }, { refreshDelayMs: REFRESH_DELAY_MS });
  const dead = lanes.flatMap(({ dead }) => dead);
  const pauses = lanes.length * count;
  return {
    name: `${pauses} pauses of ${pauseMs / 1000}–${longestMs / 1000} s in a refresh`,
    figures: {
      "dead grants": dead.length,
      ...Object.fromEntries(lanes.map(({ step, answers }) => [step, answers])),
    },
    failures: dead.length > tolerated * pauses ? dead : [],
  };
}

function longestOf({ pauseMs, longestMs = 1.5 * pauseMs }: PauseRefreshOptions): number {
  return longestMs;
}

/** The pauses at one step, one after the other. Lanes run beside each other, each with its sign-in. */
class Lane {
  readonly step: Step;
  readonly dead: string[] = [];
  readonly #options: PauseRefreshOptions;
  readonly #random: Random;
  readonly #answers = new Map<string, number>();

  constructor(step: Step, options: PauseRefreshOptions) {
    this.step = step;
    this.#options = options;
    this.#random = new Random(options.seed + STEPS.indexOf(step));
  }

  /** How the processes ended that got no token. */
  get answers(): string {
    const answers = [...this.#answers].filter(([answer]) => answer !== "token");
    const dead = `${this.dead.length} dead`;
    return [dead, ...answers.map(([answer, times]) => `${answer} ${times}×`)].join(", ");
  }

  async run(main: SignedIn): Promise<void> {
    const signedIn = await main.signInBeside(this.step.replaceAll(" ", "-"));
    for (let round = 0; round < this.#options.count; round++) {
      await signedIn.expire();
      const ended = await this.#pause(signedIn);
      for (const found of ended) {
        const answer = describeAttempt(found);
        this.#answers.set(answer, (this.#answers.get(answer) ?? 0) + 1);
      }
      const cause = await causeOfDeath(signedIn);
      if (cause === undefined) continue;
      this.dead.push(`${this.step}, round ${round}: ${cause}`);
      await signedIn.signIn();
    }
  }

  async #pause(signedIn: SignedIn): Promise<Attempt[]> {
    const { pauseMs, clockRate = 1 } = this.#options;
    const lengthMs = this.#random.int(pauseMs, longestOf(this.#options));
    const stopped = new AttemptProcess(signedIn, { stopAt: this.step });
    const first = stopped.result();
    await Promise.race([untilStopped(stopped.pid), first]);
    const rivals = Array.from(
      { length: RIVALS },
      () => new AttemptProcess(signedIn, { clockRate }),
    );
    const others = Promise.all(rivals.map((rival) => rival.result()));
    await new Promise((resolve) => setTimeout(resolve, lengthMs));
    Deno.kill(stopped.pid, "SIGCONT");
    return [await first, ...await others];
  }
}

/** Why nobody gets a token any more without a person; `undefined` where the sign-in lives. */
async function causeOfDeath(signedIn: SignedIn): Promise<string | undefined> {
  return await causeNow(signedIn) ?? (await signedIn.expire(), await causeNow(signedIn));
}

async function causeNow(signedIn: SignedIn): Promise<string | undefined> {
  const found = await attempt(signedIn);
  if (found.token === undefined) return describeAttempt(found);
  const { isActive } = await signedIn.provider.ask(await signedIn.token());
  return isActive ? undefined : "the stored token is dead";
}

/** Resolves when the kernel has stopped a process, or it is gone. */
export async function untilStopped(pid: number): Promise<void> {
  for (;;) {
    try {
      if (/\) [TZX] /.test(await Deno.readTextFile(`/proc/${pid}/stat`))) return;
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
