import { adviceOnDenial, lookIfPresent, type PathFault } from "../common/judge_path.ts";
import { basename, dirname } from "../common/paths.ts";
import { isGranted, permissionFlag } from "../common/permission.ts";
import { isWindows } from "../common/runtime.ts";
import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "../credentials_backend_error.ts";

/** The way on where no home folder can be written. */
export const IN_CONTAINER = "In a container, VM_OIDC_NO_PERSIST=1 keeps the tokens in memory.";

/** Throws the fault of a file that this module does not use, if it has one. */
export function refuse(action: string, path: string, fault: PathFault | undefined): void {
  if (!fault) return;
  throw new CredentialsBackendError("backend_denied", {
    action: `${action} ${path}`,
    reason: fault.reason,
    remedy: fault.advice,
  });
}

/** Whether a file or a folder is a link to nothing, such as to a volume that is not there now. */
export function isLinkToNothing(path: string): boolean {
  if (!isGranted({ name: "read", path })) return false;
  const isLink = lookIfPresent(path)?.isSymlink === true;
  return isLink && lookIfPresent(path, Deno.statSync) === undefined;
}

type Explanation = [code: CredentialsBackendErrorCode, reason: string, remedy: string];

/** The coded error for a failed file operation. */
export function fileError(action: string, path: string, error: unknown): CredentialsBackendError {
  if (error instanceof CredentialsBackendError) return error;
  const [code, reason, remedy] = explainFileFault(path, error);
  return new CredentialsBackendError(code, {
    action: `${action} ${path}`,
    reason,
    remedy,
    cause: error,
  });
}

function explainFileFault(path: string, error: unknown): Explanation {
  const { NotCapable, NotFound, PermissionDenied } = Deno.errors;
  if (error instanceof NotCapable) return permissionNeeded(path, error);
  if (error instanceof PermissionDenied) {
    return ["backend_denied", "the operating system denies it", adviceOnDenial(path)];
  }
  const isMissing = error instanceof NotFound;
  if (isMissing && isLinkToNothing(path)) {
    return ["backend_unavailable", "it is a link to nothing", "Remove or repair the link."];
  }
  if (isMissing) {
    const remedy = `Make the folder, or use another path. ${IN_CONTAINER}`;
    return ["backend_unavailable", "its folder is missing", remedy];
  }
  if (isFull(error)) {
    return ["backend_full", "no space is left", "Free some space. The stored tokens are kept."];
  }
  const { name = "unknown error", message = "", code = "" }: Partial<OsError> = Object(error);
  if (!isWindows && ["EBUSY", "EXDEV"].includes(code)) {
    const reason = "it is mounted by itself, or another program holds it";
    return ["backend_unavailable", reason, "Mount its folder instead, or end that program."];
  }
  // The system's own words, such as "Read-only file system", without those of Deno.
  const [words, isOfSystem] = message.split(" (os error");
  const reason = isOfSystem ? words! : name;
  return ["backend_unavailable", reason, `Repair this, or use another path. ${IN_CONTAINER}`];
}

function permissionNeeded(path: string, { message }: Error): Explanation {
  const asked = /"(.+)"/.exec(message)?.[1] ?? ""; // without the links of its folders
  const isOfPath = asked.endsWith(basename(path));
  // A file is replaced by rename: its folder holds the temp file.
  const folder = dirname(isOfPath ? asked : path);
  const flags = `${permissionFlag("read", folder)} ${permissionFlag("write", folder)}`;
  return ["permission_required", "Deno does not permit it", `Add: ${flags}`];
}

type OsError = Error & { code: string };

/** Whether a file operation found no space, or a used-up quota. */
export function isFull(error: unknown): boolean {
  const { code, message = "" }: Partial<OsError> = Object(error);
  return code === "ENOSPC" || /quota exceeded/i.test(message); // a used-up quota has no code
}
