import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "../credentials_backend_error.ts";
import { folderOf, isGranted, isWindows, nameOf, permissionFlag } from "../common/platform.ts";

/** Whether two looks at a file met the same one. */
export function isSameFile(one: Deno.FileInfo, other: Deno.FileInfo): boolean {
  return one.ino === other.ino && one.dev === other.dev;
}

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
  if (info.isFile) return;
  if (info.isDirectory) {
    throw fileError(action, path, Object.assign(new Error(), { code: "EISDIR" }));
  }
  throw refusal(action, path, `it is ${kindOf(info)}`);
}

function kindOf(info: Deno.FileInfo): string {
  if (info.isSymlink) return "a symbolic link";
  if (info.isFifo) return "a named pipe";
  return info.isSocket ? "a socket" : "a device";
}

/** Refuses an opened file of another user, who could read or replace its content. */
export function assertOwn(action: string, path: string, info: Deno.FileInfo): void {
  if (isOwn(path, info)) return;
  throw refusal(action, path, `it belongs to another user (uid ${info.uid})`);
}

let ownUid: number | null | undefined;

/** The user of this process; -1 where Deno does not tell. */
const self = () => ownUid ??= isGranted({ name: "sys", kind: "uid" }) ? Deno.uid() : -1;

/**
 * Whether an opened file belongs to the user of this process.
 *
 * The user's id takes `--allow-sys=uid`, which no store asks for. A file that only its owner may open,
 * in a folder of the same owner, is the user's where it has opened, unless this is the superuser. A
 * network file system may give every new file another owner: then a new one decides.
 */
export function isOwn(path: string, { uid, mode }: Deno.FileInfo): boolean {
  if (uid === null || uid === self()) return true; // null: Windows
  const isClosed = ((mode ?? 0) & 0o077) === 0;
  if (isClosed && ownUid !== 0 && (folderOwner(path).uid ?? uid) === uid) return true;
  const given = ownerOfNewFile(path);
  return given === undefined && ownUid === -1 ? isClosed : uid === given;
}

/** Owners of folders that others cannot write, by file. */
const owners = new Map<string, number | null>();

/** The owner of the folder of `path`, as far as Deno permits. */
function folderOwner(path: string): { uid?: number | null; isShared: boolean } {
  const known = owners.get(path);
  if (known !== undefined) return { uid: known, isShared: false };
  const folder = folderOf(path);
  if (!isGranted({ name: "read", path: folder })) return { isShared: true };
  const { uid, mode } = Deno.statSync(folder);
  const isShared = ((mode ?? 0) & 0o022) !== 0;
  if (!isShared) owners.set(path, uid);
  return { uid, isShared };
}

type OpenFile = Pick<Deno.FsFile, "statSync" | "readSync" | "close">;

/**
 * Opens a regular file. In a shared folder a named pipe may have come to its place, and would block:
 * there it is opened by `node:fs`, which takes 20 ms to load.
 */
export function openToRead(path: string, found: Deno.FileInfo): OpenFile {
  const folder = folderOwner(path);
  const user = self() === -1 ? found.uid : ownUid;
  const isSafe = found.uid === null || !folder.isShared && [0, user].includes(folder.uid);
  return isSafe ? Deno.openSync(path) : openWithoutWait(path, found);
}

declare const process: { getBuiltinModule(name: "node:fs"): typeof import("node:fs") };

function openWithoutWait(path: string, found: Deno.FileInfo): OpenFile {
  const fs = process.getBuiltinModule("node:fs");
  const { NotFound, PermissionDenied } = Deno.errors;
  try {
    const file = fs.openSync(path, fs.constants.O_NONBLOCK);
    return {
      statSync: () => ({ ...found, ...fs.fstatSync(file) as object }),
      readSync: (bytes) => fs.readSync(file, bytes) || null,
      close: () => fs.closeSync(file),
    };
  } catch (error) {
    if (osCode(error) === "ENOENT") throw new NotFound();
    throw osCode(error) === "EACCES" ? new PermissionDenied() : error;
  }
}

/** Makes a file beside `path` for a moment, and gives its owner. */
function ownerOfNewFile(path: string): number | null | undefined {
  const probe = `${path}.owner`;
  if (!isGranted({ name: "write", path: probe })) return undefined;
  try {
    const file = Deno.openSync(probe, { write: true, createNew: true, mode: 0o600 });
    try {
      return file.statSync().uid;
    } finally {
      file.close();
      Deno.removeSync(probe);
    }
  } catch {
    return undefined;
  }
}

/** The largest credentials file: some 10,000 entries. */
const LARGEST_BYTES = 64 * 1024 * 1024;
/** Another program may replace a file between two steps, but hardly each time. */
const TRIES = 20;

/** Repeats an access for about a second while another program keeps Windows from it. */
export function whileHeld<T>(
  access: () => T,
  { isHeld = isBusy, onWindows = isWindows } = {},
): T {
  for (let tries = 1;; tries++) {
    try {
      return access();
    } catch (error) {
      if (!onWindows || !isHeld(error) || tries === 40) throw error;
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 25);
  }
}

/** Deno has no error class for this refusal. */
export function isBusy(error: unknown): boolean {
  return osCode(error) === "EBUSY";
}

type OwnContent = { bytes: Uint8Array; info: Deno.FileInfo };

/**
 * Reads a regular file of this user or of the superuser, who can change every file anyway.
 *
 * A link is followed where the same user has made it: a planted one would lead to any file of the
 * user's. The open file is the one that was looked at.
 *
 * @param seen The last look at the path. A file that has come to it since is looked at anew.
 * @throws {CredentialsBackendError} `backend_denied`, `backend_corrupt`. Deno's own errors pass
 * unchanged.
 */
export function readOwnFile(path: string, seen?: Deno.FileInfo): OwnContent {
  for (let tries = 0; tries < TRIES; tries++) {
    const found = (tries === 0 ? seen : undefined) ?? Deno.lstatSync(path);
    const content = found.isSymlink ? readThroughLink(path, found) : readFound(path, found);
    if (content !== undefined) return content;
  }
  throw new CredentialsBackendError(
    "backend_unavailable",
    `Cannot read ${path}: another program keeps changing it. End that program.`,
  );
}

/** `undefined` where the link or its target was replaced meanwhile. */
function readThroughLink(path: string, link: Deno.FileInfo): OwnContent | undefined {
  const target = Deno.realPathSync(path);
  try {
    const content = readFound(target, Deno.lstatSync(target));
    if (content !== undefined) assertOwnLink("read", path, link, content.info);
    return content;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw fileError("read", target, error); // a missing permission is the one for the target
  }
}

/** Refuses a link of another user. */
export function assertOwnLink(
  action: string,
  path: string,
  link: Deno.FileInfo,
  target: Deno.FileInfo,
): void {
  if (link.uid !== 0 && link.uid !== target.uid) assertOwn(action, path, link);
}

/** `undefined` where the file was removed, replaced or extended meanwhile. */
function readFound(path: string, found: Deno.FileInfo): OwnContent | undefined {
  assertRegular("read", path, found);
  const file = whileHeld(() => openToRead(path, found));
  try {
    const info = file.statSync();
    if (!isSameFile(info, found)) return undefined;
    if (info.uid !== 0) assertOwn("read", path, info);
    if (info.size > LARGEST_BYTES) {
      const reason = `its ${info.size} bytes are more than any credentials file has`;
      throw refusal("read", path, reason, "backend_corrupt");
    }
    const bytes = readAll(file, info.size);
    return bytes && { bytes, info };
  } finally {
    file.close();
  }
}

/** The bytes of a file of this size at most; `undefined` where there are more. */
function readAll(file: OpenFile, size: number): Uint8Array | undefined {
  const buffer = new Uint8Array(size + 1); // a byte more shows that the file has grown
  let length = 0;
  while (length <= size) {
    const count = file.readSync(buffer.subarray(length));
    length += count ?? 0;
    if (count === null || length === size) return buffer.subarray(0, length);
  }
  return undefined;
}

/** The error for a file that this module does not use. */
export function refusal(
  action: string,
  path: string,
  reason: string,
  code: CredentialsBackendErrorCode = "backend_denied",
): CredentialsBackendError {
  return new CredentialsBackendError(
    code,
    `Cannot ${action} ${path}: ${reason}. Remove it, or use another path.`,
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

/** The coded error for a failed file operation: "Cannot {action} {path}: reason. What to do." */
export function fileError(
  action: string,
  path: string,
  error: unknown,
): CredentialsBackendError {
  if (error instanceof CredentialsBackendError) return error;
  const [code, reason, advice] = explain(path, error);
  return new CredentialsBackendError(
    code,
    `Cannot ${action} ${path}: ${reason}. ${advice}`,
    { cause: error },
  );
}

type Explanation = [code: CredentialsBackendErrorCode, reason: string, advice: string];

function explain(path: string, error: unknown): Explanation {
  if (error instanceof Deno.errors.NotCapable) {
    const asked = /"(.+)"/.exec(error.message)?.[1]; // without the links of its folders
    const flags = fileFlags(asked?.endsWith(nameOf(path)) ? asked : path);
    return ["permission_required", "Deno does not permit it", `Run with: ${flags}`];
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return [
      "backend_denied",
      "the operating system denies it",
      "Check the owner and mode of it and its folder.",
    ];
  }
  switch (osCode(error)) {
    case "ENOSPC":
    case "EDQUOT":
      return ["backend_full", "no space is left", "Free some space; what was stored is kept."];
    case "EROFS":
      return ["backend_unavailable", "the file system is read-only", "Use another path."];
    case "EISDIR":
      return ["backend_unavailable", "it is a folder", "Give the path of a file in it."];
    case "ENOTDIR":
      return ["backend_unavailable", "a folder of its path is a file", "Use another path."];
    case "ELOOP":
      return ["backend_unavailable", "its symbolic links form a loop", "Use another path."];
    case "EBUSY":
      return [
        "backend_unavailable",
        "another program has it open",
        "Try again, or close it there.",
      ];
    case "EMFILE":
    case "ENFILE":
      return ["backend_unavailable", "too many files are open", "Close some, and try again."];
    case "ENOENT":
      return isLink(path)
        ? ["backend_unavailable", "it is a link to nothing", "Remove or repair the link."]
        : ["backend_unavailable", "its folder is missing", "Make the folder, or use another path."];
  }
  const name = error instanceof Error ? error.name : "unknown error";
  return [
    "backend_unavailable",
    `${name}${osCode(error) ? ` (${osCode(error)})` : ""}`,
    "Check the path and its file system.",
  ];
}

/** Deno gives most errors of the system a code. A used-up quota has a message alone. */
function osCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return /quota exceeded/i.test(error.message) ? "EDQUOT" : (error as { code?: string }).code;
}

/** The narrowest flags for a file that is replaced by rename: its folder holds the temp file. */
function fileFlags(path: string): string {
  const folder = path.replace(/[/\\][^/\\]*$/, "") || "/";
  const grant = folder === path ? "." : folder;
  return `${permissionFlag("read", grant)} ${permissionFlag("write", grant)}`;
}
