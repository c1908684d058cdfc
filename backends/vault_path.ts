import { CredentialsBackendError } from "./credentials_backend_error.ts";

/**
 * The name of a credential key's secret: the SHA-256 of the key, in hexadecimal.
 *
 * A key holds `|`, `/`, `:` and whatever an identity provider came up with, and is as long as it
 * likes; what Vault's storage takes for a name differs from one storage to the next. The key itself
 * is in the secret.
 */
export async function secretName(key: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key));
  return new Uint8Array(digest).toHex();
}

/** Whether a name in a folder is that of an entry, and not of a lock or of somebody else's secret. */
export function isSecretName(name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name);
}

/** The name of the lock of an entry. */
export function lockName(name: string): string {
  return `${name}.lock`;
}

/** Whether a name in a folder is that of a lock. */
export function isLockName(name: string): boolean {
  return name.endsWith(".lock") && isSecretName(name.slice(0, -".lock".length));
}

/** A path as it stands in a URL. */
export function encodePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

/**
 * Refuses a mount or a path that would lead elsewhere than it says. An empty segment is what is left
 * of a user's name that is not there, and would be everybody's.
 */
export function checkVaultPath(action: string, option: string, path: unknown): void {
  const reason = typeof path !== "string" || path === ""
    ? "is not a non-empty string"
    // deno-lint-ignore no-control-regex -- they are what is looked for
    : /[\u0000-\u001f\u007f]/.test(path)
    ? "has a control character"
    : path.split("/").some((segment) => segment.trim() === "")
    ? "has an empty segment, or begins or ends with a slash"
    : path.split("/").some((segment) => segment === "." || segment === "..")
    ? 'has a segment "." or ".."'
    : undefined;
  if (reason === undefined) return;
  throw new CredentialsBackendError(
    "invalid_options",
    `Cannot ${action}: option "${option}" ${reason}. Give one such as ` +
      `${option === "path" ? '"users/anna"' : '"secret"'}.`,
  );
}
