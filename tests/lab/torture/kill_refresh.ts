import { attempt, AttemptProcess, describeAttempt } from "./attempt.ts";
import { untilStopped } from "./pause_refresh.ts";
import { Random } from "./random.ts";
import { SignedIn } from "./signed_in.ts";
import type { StartStore } from "./store.ts";
import { type Step, STEPS } from "./stop_point.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

/** Options of {@linkcode killRefresh}. */
export interface KillRefreshOptions extends TortureOptions {
  startStore: StartStore;
}

/** The longest wait of the next start, in milliseconds. */
const LONGEST_MS = 30_000;
/** The provider's answer to a refresh is held back: longer than the process waits before it stops. */
const REFRESH_DELAY_MS = 400;
/** The steps at which the token is spent and its successor not stored: a kill costs the sign-in. */
const COSTLY: readonly Step[] = ["request in flight", "after the answer", "before the put"];

/**
 * Kills a process at each step of its refresh. The next start, with default options, has to get a token
 * within 30 seconds, or to say that a person has to sign in where the token was spent.
 */
export async function killRefresh(options: KillRefreshOptions): Promise<TortureResult> {
  const { count, startStore, folder } = options;
  await using store = await startStore(folder);
  const lanes = STEPS.map((step) => new Lane(step, options));
  await SignedIn.run(store, async (signedIn) => {
    await Promise.all(lanes.map((lane) => lane.run(signedIn)));
  }, { refreshDelayMs: REFRESH_DELAY_MS });
  return {
    name: `${lanes.length * count} processes killed in their refresh`,
    figures: {
      "longest start, s": Math.round(Math.max(...lanes.map(({ longestMs }) => longestMs)) / 100) /
        10,
      ...Object.fromEntries(lanes.map(({ step, ended }) => [step, `${ended} sign-ins ended`])),
    },
    failures: lanes.flatMap(({ failures }) => failures),
  };
}

/** The kills at one step, one after the other. Lanes run beside each other, each with its sign-in. */
class Lane {
  readonly failures: string[] = [];
  longestMs = 0;
  ended = 0;
  readonly #count: number;
  readonly #random: Random;

  constructor(readonly step: Step, { count, seed }: KillRefreshOptions) {
    this.#count = count;
    this.#random = new Random(seed + STEPS.indexOf(step));
  }

  async run(main: SignedIn): Promise<void> {
    const signedIn = await main.signInBeside(this.step.replaceAll(" ", "-"));
    for (let round = 0; round < this.#count; round++) {
      await signedIn.expire();
      await this.#kill(signedIn);
      const start = performance.now();
      const next = await attempt(signedIn);
      const ms = performance.now() - start;
      this.longestMs = Math.max(this.longestMs, ms);
      const answer = describeAttempt(next);
      const isEnded = next.codes[0] === "login_required";
      const isRight = next.token !== undefined || isEnded && COSTLY.includes(this.step);
      if (!isRight || ms > LONGEST_MS) {
        this.failures.push(`${this.step}, round ${round}: ${answer} after ${Math.round(ms)} ms`);
      }
      if (isEnded) this.ended++;
      if (next.token === undefined) await signedIn.signIn();
    }
  }

  async #kill(signedIn: SignedIn): Promise<void> {
    const stopped = new AttemptProcess(signedIn, { stopAt: this.step });
    const end = stopped.result().catch(() => undefined);
    await Promise.race([untilStopped(stopped.pid), end]);
    await new Promise((resolve) => setTimeout(resolve, this.#random.int(0, 500)));
    Deno.kill(stopped.pid, "SIGKILL");
    await end;
  }
}
