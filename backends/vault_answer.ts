import type { CredentialsBackendError } from "./credentials_backend_error.ts";
import type { VaultAnswer } from "./vault_client.ts";
import { vaultError } from "./vault_error.ts";

/** The error for an answer that says neither yes nor no. */
export function unexpected(
  action: string,
  place: string,
  { status, words }: VaultAnswer,
): CredentialsBackendError {
  return vaultError(
    "backend_unavailable",
    action,
    place,
    `it answers with status ${status}${words}`,
    "Check the address, the mount and the path. Nothing that is stored is lost.",
  );
}

/** Whether a 404 is Vault's for a secret that is not there, and not for a mount, or a proxy's own. */
export function isAbsent({ status, body }: VaultAnswer): boolean {
  return status === 404 && Array.isArray(body.errors) && body.errors.length === 0;
}

/** The names that a listing gives, or `undefined` where it is none. */
export function listedNames(answer: VaultAnswer): string[] | undefined {
  if (isAbsent(answer)) return [];
  const { data } = answer.body as { data?: { keys?: unknown } };
  return answer.status === 200 && Array.isArray(data?.keys) ? data.keys.map(String) : undefined;
}
