import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import { ValidMindAuthError } from "../../errors.ts";
import { SettingsError } from "../settings/settings_error.ts";
import { allFlagsHint, causeLines } from "../report_error.ts";

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

/** The check failed by an error. The message of a foreign error may quote a token and is left out. */
export function failedBy(check: string, error: unknown): Finding {
  const isOwn = error instanceof ValidMindAuthError || error instanceof CredentialsBackendError ||
    error instanceof SettingsError;
  if (isOwn) {
    const message = error.message + causeLines(error);
    const isDenied = error.code === "permission_required";
    return { check, result: "fail", message, ...(isDenied && { advice: allFlagsHint("doctor") }) };
  }
  const name = error instanceof Error ? error.name : "value";
  const advice = "Report it with the command that you ran.";
  return fail(check, `an unexpected ${name} was thrown`, advice);
}
