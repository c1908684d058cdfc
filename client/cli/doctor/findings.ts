import type { FlagValues } from "../flags.ts";
import { columns } from "../output.ts";
import { describeError, hintFor } from "../report_error.ts";

/** The answer of a check. Holds no secret. */
export interface Answer {
  readonly result: "ok" | "warning" | "fail" | "not_tried";
  readonly message: string;
  /** The remedy, if one is needed. */
  readonly advice?: string | undefined;
  /** The code of the error. */
  readonly code?: string;
}

/** The answers of all checks, in their order. */
export class Findings {
  readonly all: (Answer & { check: string })[] = [];

  constructor(readonly flags: FlagValues) {}

  get isFailed() {
    return this.all.some(({ result }) => result === "fail");
  }

  /**
   * Runs a check, and tells whether others can go on from it. A cause is shown once.
   *
   * @param run Gives the answer; its words alone where all is well.
   */
  async examine(check: string, run: () => Promise<Answer | string>) {
    try {
      const answer = await run();
      const isWords = typeof answer === "string";
      this.all.push({ check, ...isWords ? { result: "ok", message: answer } : answer });
      return true;
    } catch (error) {
      const { code, message } = describeError(error, this.flags);
      const advice = await hintFor(error, code, this.flags, "doctor");
      const isTold = this.all.some((one) => one.message === message);
      if (!isTold) this.all.push({ check, result: "fail", message, advice, code });
      return false;
    }
  }

  get text() {
    return columns(this.all.flatMap(({ result, check, message, advice }) => {
      const [first = "", ...rest] = message.split("\n");
      const more = advice === undefined ? rest : [...rest, `→ ${advice}`];
      return [[result.replace("_", " "), check, first], ...more.map((line) => ["", "", line])];
    }));
  }
}
