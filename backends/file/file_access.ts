import {
  folderOf,
  HOME_VARIABLE,
  isWindows,
  nameOf,
  permissionFlag,
  readEnv,
} from "../common/platform.ts";
import {
  foreign,
  isOwn,
  kindOf,
  type PrivateContent,
  readPrivateBytes,
} from "../common/read_private_file.ts";
import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "../credentials_backend_error.ts";

/**
 * The credentials file that this module shares with the ValidMind Python library:
 * `~/.validmind/credentials.json`. Accesses no file.
 *
 * Needs `--allow-env=HOME` (`--allow-env=USERPROFILE` on Windows).
 *
 * @returns The absolute path.
 * @throws {CredentialsBackendError} `permission_required` when Deno denies the variable;
 * `home_unset` when it is not set.
 * @category Backends
 *
 * @example
 * ```ts
 * import { credentialsPath } from "@validmind/auth";
 * import { assert } from "@std/assert";
 *
 * assert(credentialsPath().includes(".validmind"));
 * ```
 */
export function credentialsPath(): string {
  const home = readEnv(HOME_VARIABLE, "find the credentials file");
  if (home === undefined) {
    throw new CredentialsBackendError(
      "home_unset",
      `Cannot find the credentials file: ${HOME_VARIABLE} is not set. ` +
        `Set it, or give "path" in the options of the file store.`,
    );
  }
  const separator = isWindows ? "\\" : "/";
  const folder = home.replace(isWindows ? /[/\\]+$/ : /\/+$/, "");
  return [folder, ".validmind", "credentials.json"].join(separator);
}

/** The largest credentials file: some 10,000 entries. */
const LARGEST_BYTES = 64 * 1024 * 1024;

/** The information about `path` itself, also where it is a link; `undefined` where nothing is there. */
export function lookIfPresent(path: string, look = Deno.lstatSync): Deno.FileInfo | undefined {
  try {
    return look(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Refuses anything but a regular file: opening a named pipe would wait for ever. */
export function assertRegular(action: string, path: string, info: Deno.FileInfo): void {
  if (!info.isFile) throw refusal(action, path, kindOf(info));
}

/** Refuses an opened file of another user, who could read or replace its content. */
export function assertOwn(action: string, path: string, info: Deno.FileInfo): void {
  if (isOwn(path, info)) return;
  const { reason, advice } = foreign(path, info);
  throw refusal(action, path, reason, advice);
}

/**
 * Reads a credentials file of this user, or of the superuser. One that is open to others is read, and
 * closed by the next write.
 *
 * @throws {CredentialsBackendError} `backend_denied`, `backend_unavailable`. Deno's own errors pass
 * unchanged.
 */
export function readOwnFile(path: string): PrivateContent {
  return readPrivateBytes(path, {
    what: "any credentials file",
    maxBytes: LARGEST_BYTES,
    forbiddenMode: 0,
    fail: (reason, advice, cause) =>
      cause instanceof Error ? cause : refusal("read", path, reason, advice),
  });
}

/** The path of the file itself, also where the given path is a link to it. A planted link is refused. */
export function resolveLink(path: string): string {
  let target = path;
  try {
    const link = lookIfPresent(path);
    if (!link?.isSymlink) return path;
    target = Deno.realPathSync(path);
    if (link.uid !== 0 && link.uid !== Deno.lstatSync(target).uid) assertOwn("write", path, link);
    return target;
  } catch (error) {
    throw fileError("write", target, error); // a missing permission is the one for the target
  }
}

/** The error for a file that this module does not use. */
export function refusal(
  action: string,
  path: string,
  reason: string,
  advice = "Remove it, or use another path.",
): CredentialsBackendError {
  return new CredentialsBackendError(
    "backend_denied",
    `Cannot ${action} ${path}: ${reason}. ${advice}`,
  );
}

/** Whether an error means that nothing is at `path`. A link to nothing is something. */
export function isMissing(path: string, error: unknown): boolean {
  return error instanceof Deno.errors.NotFound && !isLink(path);
}

function isLink(path: string): boolean {
  try {
    return Deno.lstatSync(path).isSymlink;
  } catch {
    return false;
  }
}

type Explanation = [code: CredentialsBackendErrorCode, reason: string, advice: string];

/** The coded error for a failed file operation: "Cannot {action} {path}: reason. What to do." */
export function fileError(action: string, path: string, error: unknown): CredentialsBackendError {
  if (error instanceof CredentialsBackendError) return error;
  const [code, reason, advice] = explain(path, error);
  const message = `Cannot ${action} ${path}: ${reason}. ${advice}`;
  return new CredentialsBackendError(code, message, { cause: error });
}

function explain(path: string, error: unknown): Explanation {
  if (error instanceof Deno.errors.NotCapable) {
    const asked = /"(.+)"/.exec(error.message)?.[1]; // without the links of its folders
    // A file is replaced by rename: its folder holds the temp file.
    const folder = folderOf(asked?.endsWith(nameOf(path)) ? asked : path);
    const flags = `${permissionFlag("read", folder)} ${permissionFlag("write", folder)}`;
    return ["permission_required", "Deno does not permit it", `Run with: ${flags}`];
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    const advice = "Check the owner and mode of it and its folder.";
    return ["backend_denied", "the operating system denies it", advice];
  }
  if (error instanceof Deno.errors.NotFound) {
    return isLink(path)
      ? ["backend_unavailable", "it is a link to nothing", "Remove or repair the link."]
      : ["backend_unavailable", "its folder is missing", "Make the folder, or use another path."];
  }
  const { name, message, code } = error instanceof Error ? error as OsError : UNKNOWN;
  if (code === "ENOSPC" || /quota exceeded/i.test(message)) { // a used-up quota has no code
    return ["backend_full", "no space is left", "Free some space; what was stored is kept."];
  }
  // The system's own words, such as "Read-only file system", without those of Deno.
  const reason = code === undefined ? name : `${message.split(" (os error")[0]} (${code})`;
  return [
    "backend_unavailable",
    reason,
    "Mend that, or use another path.",
  ];
}

type OsError = Error & { code?: string };
const UNKNOWN: OsError = { name: "unknown error", message: "" };
