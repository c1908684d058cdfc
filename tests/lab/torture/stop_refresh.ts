import { attempt, describeAttempt, startAttempt } from "./attempt.ts";
import { Random } from "./random.ts";
import { SignedIn } from "./signed_in.ts";
import { type Step, STEPS } from "./stop_point.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

/** Options of {@linkcode stopRefresh}. */
export interface StopRefreshOptions extends TortureOptions {
  /** How long a process is stopped before it goes on. @default {it is killed} */
  pauseMs?: number;
}

/** The longest wait of the next start, in milliseconds. */
const LONGEST_MS = 30_000;
/** The provider's answer to a refresh is held back: longer than the process waits before it stops. */
const REFRESH_DELAY_MS = 400;
const POLL_MS = 10;
/** The steps at which the token is spent and its successor not stored: a kill costs the sign-in. */
export const COSTLY: readonly Step[] = ["request in flight", "after the answer", "before the put"];

/**
 * Kills a process at each step of its refresh, or stops it for a time. The next start, with default
 * options, has to get a token within 30 seconds, or to say that a person has to sign in where the token
 * was spent. All steps are tried side by side, each with a sign-in of its own in one store.
 */
export async function stopRefresh(options: StopRefreshOptions): Promise<TortureResult> {
  const { startStore, folder } = options;
  await using store = await startStore(folder);
  const lanes = STEPS.map((step) => new Lane(step, options));
  await SignedIn.run(store, async (signedIn) => {
    await Promise.all(lanes.map((lane) => lane.run(signedIn)));
  }, { refreshDelayMs: REFRESH_DELAY_MS });
  return {
    figures: {
      "longest start, s": Math.max(...lanes.map(({ longestMs }) => longestMs)) / 1000,
      ...Object.fromEntries(lanes.map(({ step, ended }) => [step, `${ended} sign-ins ended`])),
    },
    failures: lanes.flatMap(({ failures }) => failures),
  };
}

/** The stops at one step, one after the other. */
class Lane {
  readonly failures: string[] = [];
  longestMs = 0;
  ended = 0;
  readonly #options: StopRefreshOptions;
  readonly #random: Random;

  constructor(readonly step: Step, options: StopRefreshOptions) {
    this.#options = options;
    this.#random = new Random(options.seed + STEPS.indexOf(step));
  }

  async run(main: SignedIn): Promise<void> {
    const signedIn = await main.signInBeside(this.step.replaceAll(" ", "-"));
    for (let round = 0; round < this.#options.count; round++) {
      await signedIn.expire();
      await this.#stop(signedIn);
      const start = performance.now();
      const next = await attempt(signedIn);
      const ms = Math.round(performance.now() - start);
      this.longestMs = Math.max(this.longestMs, ms);
      const isEnded = next.codes[0] === "login_required";
      if (isEnded) this.ended++;
      if (ms > LONGEST_MS || next.token === undefined && !(isEnded && this.#mayEnd)) {
        this.failures.push(`${this.step}, ${round}: ${describeAttempt(next)} after ${ms} ms`);
      }
      if (next.token === undefined) await signedIn.signIn();
    }
  }

  get #mayEnd(): boolean {
    return this.#options.pauseMs === undefined && COSTLY.includes(this.step);
  }

  async #stop(signedIn: SignedIn): Promise<void> {
    const stopped = startAttempt(signedIn, this.step);
    const { pauseMs } = this.#options;
    if (pauseMs === undefined) await endStop(stopped, this.#random.int(0, 500), "SIGKILL");
    else await endStop(stopped, pauseMs, "SIGCONT");
  }
}

/**
 * Waits until a process has stopped itself, and for some time; then kills it, or lets it go on to its end.
 * Gives whether it stopped: else another was first, and it has ended.
 */
export async function endStop(
  process: Deno.ChildProcess,
  pauseMs: number,
  signal: "SIGKILL" | "SIGCONT",
): Promise<boolean> {
  const end = process.output();
  const hasEnded = end.then(() => true);
  if (await Promise.race([untilStopped(process.pid), hasEnded])) return false;
  await new Promise((resolve) => setTimeout(resolve, pauseMs));
  Deno.kill(process.pid, signal);
  await end;
  return true;
}

/** Resolves when the kernel has stopped a process, or it is gone. Gives whether it is gone. */
async function untilStopped(pid: number): Promise<boolean> {
  for (;;) {
    const state = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => ") X ");
    if (/\) [TZX] /.test(state)) return !/\) T /.test(state);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
