import { CredentialsBackendError } from "../credentials_backend_error.ts";
import type { OidcCredentialsBackend } from "../oidc_credentials_backend.ts";
import { printable } from "./printable.ts";

/** The place of a backend in words; `undefined` where it gives none, or no text, such as a URL object. */
export function locationOf(backend: OidcCredentialsBackend): string | undefined {
  try {
    const { location } = backend;
    if (typeof location === "string") return location;
  } catch {
    // The words of its getter may hold anything, such as an address with a password.
  }
  return undefined;
}

/** The name of a backend's class, with the place where it keeps entries. */
export function describeBackend(backend: OidcCredentialsBackend): string {
  const name = backendName(backend);
  const location = locationOf(backend);
  if (location === undefined) return name;
  return `${name} (${printable(location)})`;
}

/** The name of a backend's class, where it has a plain one. */
export function backendName(backend: OidcCredentialsBackend): string {
  const name = backend.constructor?.name ?? "";
  if (name === "Object" || !/^[\w$]{1,60}$/.test(name)) return "the credentials backend";
  return name;
}

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
