import { CredentialsBackendError } from "../backends/credentials_backend_error.ts";
import type { OidcCredentialsBackend } from "../backends/oidc_credentials_backend.ts";
import { printable } from "./printable.ts";

/** A backend in words: its class, and where it keeps things. */
export function describeBackend(backend: OidcCredentialsBackend): string {
  const { location } = backend;
  return `${backendName(backend)}${typeof location === "string" ? ` (${location})` : ""}`;
}

/** The name of a backend's class, where it has one. */
export function backendName(backend: OidcCredentialsBackend): string {
  const name = backend.constructor?.name;
  return name && name !== "Object" ? name : "the credentials backend";
}

/**
 * The coded error for what a backend threw. What is not coded is a stranger's: its message may quote
 * an entry (V8's on bad JSON does), so only its name is kept.
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
    `Cannot ${action} ${
      describeBackend(backend)
    }: it threw ${name}, whose text is left out since ` +
      `it may quote a token. Have the backend throw a CredentialsBackendError with words of its own.`,
  );
}
