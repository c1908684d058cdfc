import type { FlagValues } from "../flags.ts";
import { columns } from "../output.ts";
import { denoFlagsHint, describeError } from "../report_error.ts";

/** The answer of a check. Holds no secret. */
export interface Answer {
  readonly result: "ok" | "warning" | "fail" | "not_tried";
  readonly message: string;
  /** The remedy, if one is needed. */
  readonly advice?: string | undefined;
  /** The code of the error. */
  readonly code?: string | undefined;
}

interface Finding extends Answer {
  readonly check: string;
}

export function ok(message: string): Answer {
  return { result: "ok", message };
}

export function warning(message: string, advice: string): Answer {
  return { result: "warning", message, advice };
}

export function notTried(message: string, advice?: string): Answer {
  return { result: "not_tried", message, advice };
}

/** The answers of all checks, in their order. */
export class Findings {
  readonly all: Finding[] = [];
  readonly #flags: FlagValues;

  constructor(flags: FlagValues) {
    this.#flags = flags;
  }

  get isFailed(): boolean {
    return this.all.some(({ result }) => result === "fail");
  }

  add(check: string, { result, message, advice, code }: Answer): void {
    this.all.push({ check, result, message, advice, code });
  }

  /**
   * Runs a check. A cause is shown once.
   *
   * @returns Its answer, from which others go on; `undefined` where it failed.
   */
  async examine<A extends Answer>(check: string, run: () => Promise<A>): Promise<A | undefined> {
    try {
      const answer = await run();
      this.add(check, answer);
      return answer;
    } catch (error) {
      const { code, message } = describeError(error, this.#flags);
      const advice = denoFlagsHint(code, this.#flags);
      const isTold = this.all.some((one) => one.message === message);
      if (!isTold) this.add(check, { result: "fail", message, advice, code });
      return undefined;
    }
  }

  get text(): string {
    return columns(this.all.flatMap(({ result, check, message, advice }) => {
      const [first = "", ...rest] = message.split("\n");
      const more = advice === undefined ? rest : [...rest, `→ ${advice}`];
      return [[result.replace("_", " "), check, first], ...more.map((line) => ["", "", line])];
    }));
  }
}
