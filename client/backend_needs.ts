import type {
  BackendPermission,
  OidcCredentialsBackend,
} from "../backends/oidc_credentials_backend.ts";
import { checkDescriptor, SCOPES } from "./group_permissions.ts";
import type { PermissionNeed } from "./permission_need.ts";

/**
 * What a backend declares. One that declares nothing adds nothing.
 *
 * @throws {CredentialsBackendError} `invalid_permissions` for what is no descriptor.
 */
export function backendNeeds(backend: OidcCredentialsBackend): PermissionNeed[] {
  const origin = backend.constructor?.name || "the credentials backend";
  const declared = declaredBy(backend, origin);
  if (!Array.isArray(declared)) checkDescriptor(undefined, origin);
  return declared.map((descriptor): PermissionNeed => {
    checkDescriptor(descriptor, origin);
    const need = descriptor.need === "sign_in" ? "sign_in" : "always";
    const isWrite = need === "sign_in" || descriptor.name === "write";
    assertKnownToDeno(descriptor, origin);
    const reason = isWrite ? "to keep the tokens" : "to find the stored tokens";
    return { ...descriptor, reason, need };
  });
}

function declaredBy(backend: OidcCredentialsBackend, origin: string): BackendPermission[] {
  try {
    return backend.requiredPermissions?.() ?? [];
  } catch {
    return checkDescriptor(undefined, origin) as never; // its own words may be anything
  }
}

/** Deno itself refuses a host or a kind that is none. */
function assertKnownToDeno(descriptor: Deno.PermissionDescriptor, origin: string): void {
  try {
    Deno.permissions.querySync(descriptor);
  } catch {
    checkDescriptor({ name: descriptor.name, [SCOPES[descriptor.name]]: null }, origin);
  }
}
