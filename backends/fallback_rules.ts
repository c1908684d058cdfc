import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "./credentials_backend_error.ts";

/** Whether a store did not answer: it then counts as empty. */
export function isUnreachable(error: unknown): error is CredentialsBackendError {
  return hasCode(error, ["backend_unavailable", "backend_timeout"]);
}

/**
 * Whether a store that was reached has certainly not taken an entry. What failed otherwise may have
 * been written, and must not be written elsewhere, too.
 */
export function isRefused(error: unknown): error is CredentialsBackendError {
  return hasCode(error, ["backend_too_large", "backend_full"]);
}

function hasCode(error: unknown, codes: readonly CredentialsBackendErrorCode[]): boolean {
  return error instanceof CredentialsBackendError && codes.includes(error.code);
}
