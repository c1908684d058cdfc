import type { FlagValues } from "../flags.ts";
import { ALL_FLAGS_HINT, describeError } from "../report_error.ts";

/** The result of one check of `doctor`. Holds no secret. */
export interface Finding {
  readonly check: string;
  readonly result: "ok" | "warning" | "fail" | "skipped";
  readonly message: string;
  /** The remedy, if one is needed. */
  readonly advice?: string;
}

export function ok(check: string, message: string): Finding {
  return { check, result: "ok", message };
}

export function warning(check: string, message: string, advice: string): Finding {
  return { check, result: "warning", message, advice };
}

export function fail(check: string, message: string, advice: string): Finding {
  return { check, result: "fail", message, advice };
}

export function skipped(check: string, message: string): Finding {
  return { check, result: "skipped", message };
}

/** The check failed by an error. Its message has the remedy. */
export function failedBy(check: string, error: unknown, flags: FlagValues): Finding {
  const { code, message } = describeError(error, flags);
  const isDenied = code === "permission_required";
  return { check, result: "fail", message, ...(isDenied && { advice: ALL_FLAGS_HINT }) };
}
