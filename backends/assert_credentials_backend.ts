import { CredentialsBackendError } from "./credentials_backend_error.ts";
import type { OidcCredentialsBackend } from "./oidc_credentials_backend.ts";

/**
 * Refuses an object that lacks one of the three methods, and names the first that is missing.
 *
 * @param value What should be a backend.
 * @param origin Where it came from, as in "Cannot use {origin} as a credentials backend".
 */
export function assertCredentialsBackend(
  value: unknown,
  origin: string,
): asserts value is OidcCredentialsBackend {
  const missing = ["get", "put", "delete"].find((method) =>
    typeof (value as Record<string, unknown> | null | undefined)?.[method] !== "function"
  );
  if (missing === undefined) return;
  throw new CredentialsBackendError(
    "invalid_backend",
    `Cannot use ${origin} as a credentials backend: it has no method ${missing}(). ` +
      `Implement get, put and delete as OidcCredentialsBackend describes.`,
  );
}
