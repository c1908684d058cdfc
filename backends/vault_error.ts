import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "./credentials_backend_error.ts";

/**
 * "Cannot {action} {place}: {reason}. {advice}" No cause: what `fetch` throws may hold the request,
 * and the request holds the token.
 */
export function vaultError(
  code: CredentialsBackendErrorCode,
  action: string,
  place: string,
  reason: string,
  advice: string,
): CredentialsBackendError {
  return new CredentialsBackendError(code, `Cannot ${action} ${place}: ${reason}. ${advice}`);
}

/**
 * The first of Vault's own words on an error, in brackets; nothing where they may quote a secret.
 *
 * @param secrets What was sent and must not be shown, nor any piece of it.
 */
export function vaultWords(body: Record<string, unknown>, secrets: readonly string[]): string {
  const [first] = Array.isArray(body.errors) ? body.errors : [];
  if (typeof first !== "string") return "";
  const words = first.replace(/[^\x20-\x7e]+/g, " ").trim().slice(0, 200);
  return words === "" || quotesAny(words, secrets) ? "" : ` (${words})`;
}

/** Shorter pieces come up by chance. */
const PIECE = 6;

function quotesAny(words: string, secrets: readonly string[]): boolean {
  for (let start = 0; start + PIECE <= words.length; start++) {
    const piece = words.slice(start, start + PIECE);
    if (secrets.some((secret) => secret.includes(piece))) return true;
  }
  return false;
}
