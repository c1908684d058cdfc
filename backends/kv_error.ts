import { CredentialsBackendError } from "./credentials_backend_error.ts";
import { fileError } from "./file_reader.ts";
import { isUrl } from "./hosts.ts";
import { tooLarge } from "./kv_entry.ts";

/** Whether another handle was writing to the database file. */
export function isDatabaseLocked(error: unknown): boolean {
  return error instanceof TypeError && /database( table)? is locked/.test(error.message);
}

/** The coded error for a failed operation of Deno KV. */
export function kvError(action: string, path: string, error: unknown): CredentialsBackendError {
  if (error instanceof CredentialsBackendError) return error;
  if (isDatabaseLocked(error)) {
    return new CredentialsBackendError(
      "backend_locked",
      `Cannot ${action} credentials in ${path}: another process keeps writing to the database. ` +
        `Try again, or end it.`,
    );
  }
  if (isNoDatabase(error)) {
    return new CredentialsBackendError(
      "backend_corrupt",
      `Cannot ${action} credentials in ${path}: it is not a sound Deno KV database. Nothing was ` +
        `changed. Repair or remove the file, or use another path.`,
    );
  }
  if (error instanceof TypeError && /too large/i.test(error.message)) return tooLarge(path);
  if (error instanceof Deno.errors.NotCapable && !isUrl(path)) {
    return new CredentialsBackendError(
      "permission_required",
      `Cannot ${action} credentials in the Deno KV database ${path}: Deno does not permit it. ` +
        `Run with: --allow-read=${path} --allow-write=${path}`,
    );
  }
  return isUrl(path)
    ? urlError(path, error)
    : fileError(`${action} credentials in the Deno KV database`, path, error);
}

function isNoDatabase(error: unknown): boolean {
  return error instanceof Error &&
    /not a database|database disk image is malformed/.test(error.message);
}

/** Without a cause: Deno quotes what the server said, and one that is none may echo the token. */
function urlError(path: string, error: unknown): CredentialsBackendError {
  const host = URL.parse(path)?.host ?? path;
  if (error instanceof Deno.errors.NotCapable) {
    return new CredentialsBackendError(
      "permission_required",
      `Cannot reach Deno KV at ${host}: Deno does not permit it. Run with: --allow-net=${host} ` +
        `--allow-env=DENO_KV_ACCESS_TOKEN`,
    );
  }
  const isLate = error instanceof DOMException && error.name === "TimeoutError";
  return new CredentialsBackendError(
    isLate ? "backend_timeout" : "backend_unavailable",
    `Cannot use Deno KV at ${host}: ${
      reasonOf(error)
    }. Check the address, and that the server runs ` +
      `and is reached from this host.`,
  );
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown error";
  if (error.name === "TimeoutError" || /^status \d+$/.test(error.message)) return error.message; // own
  return error.message.startsWith("Could not open Deno KV database")
    ? "what answers there is no KV Connect server"
    : error.name;
}
