import { CredentialsBackendError } from "../credentials_backend_error.ts";
import type { OidcCredentialsBackend } from "../oidc_credentials_backend.ts";

/** Refuses an object that lacks one of the three methods. */
export function assertCredentialsBackend(
  value: unknown,
  origin: string,
): asserts value is OidcCredentialsBackend {
  const members = (value ?? {}) as Record<string, unknown>;
  const missing = ["get", "put", "delete"].find((name) => typeof members[name] !== "function");
  if (missing === undefined) return;
  throw new CredentialsBackendError("invalid_backend", {
    action: `use ${origin} as a credentials backend`,
    reason: `it has no method ${missing}()`,
    remedy: "Implement get, put and delete as OidcCredentialsBackend describes.",
  });
}
