import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
  type ErrorParts,
} from "../../backends/credentials_backend_error.ts";

/** The parts of an error by its message, for tests that need no more than some error. */
export function errorParts(message: string, cause?: unknown): ErrorParts {
  const [action = "", rest = ""] = message.replace("Cannot ", "").split(/: (.*)/s);
  const [reason = "", remedy = ""] = rest.split(/\. (.*)/s);
  return { action, reason: reason.replace(/\.$/, ""), remedy: remedy || "Try again.", cause };
}

/** The error of a store by its message, whose words no test looks at where none is given. */
export function storeError(
  code: CredentialsBackendErrorCode,
  message = "Cannot reach it: it failed. Mend it.",
  cause?: unknown,
): CredentialsBackendError {
  return new CredentialsBackendError(code, errorParts(message, cause));
}
