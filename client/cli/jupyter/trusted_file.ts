// Not the form for any system, which reads modules more.
import { isAbsolute as isAbsolutePosix } from "@std/path/posix/is-absolute";
import { isAbsolute as isAbsoluteWindows } from "@std/path/windows/is-absolute";
import { folderOf, isWindows } from "../../../backends/common/platform.ts";
import { readFault } from "../../../backends/common/printable.ts";
import { isSameFile, lookIfPresent } from "../../../backends/file/file_access.ts";
import { UsageError } from "../usage_error.ts";

const isAbsolute = isWindows ? isAbsoluteWindows : isAbsolutePosix;

/** Far above any policy. */
const LARGEST_BYTES = 64 * 1024;
const WRITABLE_FOR_OTHERS = 0o022;
const OPEN_TO_OTHERS = 0o077;
const STICKY = 0o1000;

/**
 * The text of a file that decides what code may do. The file and every folder above it belong to this
 * user or to the superuser, and nobody else can write or replace them. A link is followed where it is
 * held to the same.
 *
 * @throws {UsageError} The file cannot be read, or somebody else could change it.
 */
export function readTrustedFile(path: string, place: string): string {
  const refuse: Refuse = (reason, at = path) =>
    new UsageError(
      `Cannot use ${at} of ${place}: ${reason}. It decides what a notebook may do, so only you or ` +
        `the superuser may be able to change it.`,
    );
  return guarded(refuse, "it is not there", () => {
    const real = Deno.realPathSync(path); // throws for a loop of links
    assertOnlyOwn(absolute(path), refuse);
    assertOnlyOwn(real, refuse);
    using file = Deno.openSync(real);
    const info = file.statSync();
    assertOwner(real, info, refuse);
    if (!info.isFile) throw refuse("it is no regular file");
    if (info.size > LARGEST_BYTES) throw refuse("it is larger than any policy");
    const bytes = new Uint8Array(LARGEST_BYTES);
    return new TextDecoder().decode(bytes.subarray(0, file.readSync(bytes) ?? 0));
  });
}

/**
 * Opens the log of a notebook's permissions to write at its end. A new file is open to this user alone.
 * One that is there must be: a regular file of this user, and no link. Each folder above it is held to
 * the rules of {@linkcode readTrustedFile}.
 *
 * @throws {UsageError} The file cannot be written, or somebody else could read or replace it.
 */
export function openOwnLog(path: string, place: string): Deno.FsFile {
  const refuse = refusalOfLog(path, place);
  return guarded(refuse, "its folder is not there", () => {
    const found = checkLog(path, refuse);
    if (found === undefined) {
      return Deno.openSync(path, { append: true, createNew: true, mode: 0o600 });
    }
    const file = Deno.openSync(path, { append: true });
    // Another file may have come to the path since.
    if (isSameFile(file.statSync(), found)) return file;
    file.close();
    throw refuse("another file came to its place meanwhile");
  });
}

/** Throws what {@linkcode openOwnLog} will throw, and makes no file. */
export function assertOwnLog(path: string, place: string): void {
  const refuse = refusalOfLog(path, place);
  guarded(refuse, "its folder is not there", () => checkLog(path, refuse));
}

function checkLog(path: string, refuse: Refuse): Deno.FileInfo | undefined {
  const whole = absolute(path);
  const folder = folderOf(whole);
  const real = Deno.realPathSync(folder);
  assertOnlyOwn(folder, refuse);
  assertOnlyOwn(real, refuse);
  const info = lookIfPresent(whole);
  if (info === undefined) return undefined;
  if (info.isSymlink) throw refuse("it is a symbolic link");
  if (!info.isFile) throw refuse("it is no regular file");
  if (info.uid !== Deno.uid()) throw refuse(`it belongs to another user (uid ${info.uid})`);
  if (((info.mode ?? 0) & OPEN_TO_OTHERS) !== 0) {
    throw refuse(`it is open to others. Close it: chmod 600 ${path}`);
  }
  return info;
}

function refusalOfLog(path: string, place: string): Refuse {
  return (reason, at = path) =>
    new UsageError(
      `Cannot use ${at} of ${place}: ${reason}. It tells what a notebook asks for, so only you may be ` +
        `able to read and change it.`,
    );
}

/** Makes the error for a path, by default that of the file itself. */
type Refuse = (reason: string, at?: string) => UsageError;

function guarded<T>(refuse: Refuse, ifMissing: string, fn: () => T): T {
  try {
    return fn();
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw refuse(error instanceof Deno.errors.NotFound ? ifMissing : readFault(error));
  }
}

/**
 * Refuses a path that somebody else can lead to another file: by a folder in it, or in the path of a link
 * on the way, which the path of the last target does not show. A loop of links must be ruled out before.
 */
function assertOnlyOwn(path: string, refuse: Refuse): void {
  const parts = path.split("/");
  for (let length = parts.length; length >= 1; length--) {
    const part = parts.slice(0, length).join("/") || "/";
    const info = Deno.lstatSync(part);
    assertOwner(part, info, refuse);
    if (!info.isSymlink) continue;
    const target = Deno.readLinkSync(part);
    assertOnlyOwn(isAbsolute(target) ? target : `${folderOf(part)}/${target}`, refuse);
  }
}

function assertOwner(path: string, info: Deno.FileInfo, refuse: Refuse): void {
  const { uid, mode } = info;
  if (uid === null || mode === null) return; // Windows has no modes
  if (uid !== 0 && uid !== Deno.uid()) {
    throw refuse(`it belongs to another user (uid ${uid})`, path);
  }
  // In a folder such as /tmp nobody can replace another one's file. A link has no mode of its own.
  const isSticky = info.isDirectory && (mode & STICKY) !== 0;
  if (!info.isSymlink && !isSticky && (mode & WRITABLE_FOR_OTHERS) !== 0) {
    throw refuse(`others can write it. Close it: chmod go-w ${path}`, path);
  }
}

function absolute(path: string): string {
  return isAbsolute(path) ? path : `${Deno.cwd()}/${path}`;
}
