import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import { ValidMindAuthError } from "../../errors.ts";
import { allFlagsHint, causeLines } from "../report_error.ts";

/** What `doctor` found in one place. Holds no secret. */
export interface Finding {
  readonly check: string;
  readonly result: "ok" | "warning" | "fail" | "skipped";
  readonly message: string;
  /** What to do, where something is to be done. */
  readonly advice?: string;
}

/** All is well. */
export function ok(check: string, message: string): Finding {
  return { check, result: "ok", message };
}

/** It works, and may surprise. */
export function warning(check: string, message: string, advice: string): Finding {
  return { check, result: "warning", message, advice };
}

/** It does not work. */
export function fail(check: string, message: string, advice: string): Finding {
  return { check, result: "fail", message, advice };
}

/** It was not looked at. */
export function skipped(check: string, message: string): Finding {
  return { check, result: "skipped", message };
}

/** An error, whose own words say what to do. That of a stranger may quote a token: only its name. */
export function failed(check: string, error: unknown): Finding {
  const isOwn = error instanceof ValidMindAuthError || error instanceof CredentialsBackendError;
  if (isOwn) {
    const message = error.message + causeLines(error);
    const isDenied = error.code === "permission_required";
    return { check, result: "fail", message, ...(isDenied && { advice: allFlagsHint("doctor") }) };
  }
  const name = error instanceof Error ? error.name : "value";
  return fail(check, `there was an unexpected ${name}`, "Report it, with what you ran.");
}
