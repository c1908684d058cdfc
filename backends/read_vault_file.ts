import { vaultError } from "./vault_error.ts";

/** The text of a file that is needed to get to Vault. */
export function readVaultFile(path: string, action: string, place: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) {
      throw vaultError(
        "permission_required",
        action,
        place,
        `Deno does not permit to read ${path}`,
        `Run with: --allow-read=${path}`,
      );
    }
    const reason = error instanceof Deno.errors.NotFound ? "is not there" : "cannot be read";
    throw vaultError(
      "backend_auth_failed",
      action,
      place,
      `the file ${path} ${reason}`,
      "Check its path, owner and mode.",
    );
  }
}
