import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { fileError } from "../file/faults.ts";

const LOCKED = /database( table)? is locked/;

type Fault = [RegExp, CredentialsBackendError["code"], reason: string, remedy: string];

/** Codes and reasons by the words of Deno KV and of SQLite, which name no cause of the system. */
const FAULTS: Fault[] = [
  [
    /too large/i,
    "backend_too_large",
    "the entry is larger than 64 KiB, or its key than 2 KiB, the most that Deno KV holds",
    "Use another backend, or ask the provider for smaller tokens.",
  ],
  [
    /not a database|disk image is malformed/,
    "backend_corrupt",
    "it is not a valid Deno KV database",
    "Nothing was changed. Repair or remove the file.",
  ],
  [/database or disk is full/, "backend_full", "no space is left", "Free some space."],
  [/disk I\/O error/, "backend_unavailable", "disk I/O error", "Check its space and file system."],
  [
    /unable to open database|read-?only database/,
    "backend_denied",
    "the system denies access",
    "Check the owner and mode of it and its folder, and the free space.",
  ],
];

/** Whether another handle writes to the database at this moment. The operation has then done nothing. */
export function isBusy(error: unknown): boolean {
  return error instanceof Error && LOCKED.test(error.message);
}

/** The coded error for a failed operation of Deno KV. */
export function kvError(action: string, path: string, error: unknown): CredentialsBackendError {
  if (error instanceof CredentialsBackendError) return error;
  const text = error instanceof Error ? error.message : "";
  const fault = FAULTS.find(([words]) => words.test(text));
  if (fault === undefined) return fileError(action, path, error);
  const [, code, reason, remedy] = fault;
  return new CredentialsBackendError(code, { action: `${action} ${path}`, reason, remedy });
}
