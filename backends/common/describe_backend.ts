import { CredentialsBackendError } from "../credentials_backend_error.ts";
import type { OidcCredentialsBackend } from "../oidc_credentials_backend.ts";
import { printable } from "./printable.ts";

/** The name of a backend's class, with the place where it keeps entries. */
export function describeBackend(backend: OidcCredentialsBackend): string {
  const { location } = backend;
  const place = typeof location === "string" ? ` (${printable(location)})` : "";
  return `${backendName(backend)}${place}`;
}

/** The name of a backend's class, where it has one. */
export function backendName(backend: OidcCredentialsBackend): string {
  const name = backend.constructor?.name;
  return name && name !== "Object" ? printable(name, 60) : "the credentials backend";
}

/**
 * The coded error for an error of a backend. The message of an uncoded error may quote an entry (V8's
 * message about bad JSON does), so only its name is kept.
 *
 * @param action The failed action, as in "Cannot {action} {backend}".
 */
export function backendError(
  action: string,
  backend: OidcCredentialsBackend,
  error: unknown,
): CredentialsBackendError {
  if (error instanceof CredentialsBackendError) return error;
  const name = error instanceof Error ? printable(error.name, 60) : "something that is no error";
  return new CredentialsBackendError(
    "backend_unavailable",
    `Cannot ${action} ${describeBackend(backend)}: it threw ${name}, whose text is left out ` +
      `since it may quote a token. Have the backend throw a CredentialsBackendError with words ` +
      `of its own.`,
  );
}
