import type { OidcCredentialsBackend } from "../oidc_credentials_backend.ts";
import { printable } from "./printable.ts";

/** The place of a backend in words; `undefined` where it gives none, or no text, such as a URL object. */
export function locationOf(backend: OidcCredentialsBackend): string | undefined {
  const location: unknown = backend.location;
  return typeof location === "string" ? location : undefined;
}

/** The name of a backend's class, with the place where it keeps entries. */
export function describeBackend(backend: OidcCredentialsBackend): string {
  const location = locationOf(backend);
  const place = location === undefined ? "" : ` (${printable(location)})`;
  return `${backendName(backend)}${place}`;
}

/** The name of a backend's class, where it has a plain one. */
export function backendName(backend: OidcCredentialsBackend): string {
  const name = backend.constructor?.name ?? "";
  return /^[\w$]{1,60}$/.test(name) && name !== "Object" ? name : "the credentials backend";
}
