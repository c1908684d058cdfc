import { dirname } from "./paths.ts";
import { isGranted } from "./permission.ts";
import { isWindows, quoteArgument } from "./runtime.ts";

export const WRITABLE_FOR_OTHERS = 0o022;

/** Why a file is not used, and the way on. */
export class PathFault {
  constructor(
    readonly reason: string,
    readonly advice = "Remove it, or use another path.",
    readonly cause?: unknown,
  ) {}
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

/** The fault of anything but a regular file: opening a named pipe would wait for ever. */
export function faultOfKind(info: Deno.FileInfo, advice?: string): PathFault | undefined {
  if (info.isFile) return undefined;
  if (info.isDirectory) return new PathFault("it is a folder", advice);
  if (info.isSymlink) return new PathFault("it is a symbolic link", advice);
  return new PathFault("it is a named pipe, a socket or a device", advice);
}

/** The way on where the system denies a file, which may be closed to its own user. */
export function adviceOnDenial(path: string): string {
  const advice = "Check the owner and mode of it and its folder.";
  if (isWindows) return advice;
  const both = [dirname(path), path].map(quoteArgument).join(" ");
  // As of root, who ran this program in the person's home.
  const otherwise = "If another user made them, move the folder away, or use another path.";
  return `${advice} ${otherwise} If they are yours, run: chmod u+rwX ${both}`;
}

/** The fault of a file of another user, who could read or replace its content. */
export function faultOfOwner(path: string, info: Deno.FileInfo): PathFault | undefined {
  if (isOwn(path, info)) return undefined;
  const reason = `it belongs to another user (uid ${info.uid})`;
  if (self() !== -1) {
    return new PathFault(reason, "Use one of your own, another path, or run it as that user.");
  }
  const advice = `If it is yours, run with --allow-sys=uid, or: chmod 600 ${quoteArgument(path)}`;
  return new PathFault(`${reason}, unless that is you`, advice);
}

/** The fault of a file that others may read or write. */
export function faultOfMode(
  path: string,
  { mode }: Deno.FileInfo,
  forbidden: number,
): PathFault | undefined {
  const bits = (mode ?? 0) & forbidden;
  if (isWindows || bits === 0) return undefined;
  const verb = bits & WRITABLE_FOR_OTHERS ? "write" : "read";
  const shown = octal(mode! & 0o777).padStart(4, "0");
  const change = forbidden === WRITABLE_FOR_OTHERS ? "go-w" : "600";
  const advice = `Close it: chmod ${change} ${quoteArgument(path)}`;
  return new PathFault(`others may ${verb} it (mode ${shown})`, advice);
}

/**
 * The fault of the folder of `path` where others can put another file in its place.
 *
 * @param owner The person's user; -1 where it is not known.
 */
export function faultOfFolder(path: string, owner: number | null = self()): PathFault | undefined {
  const { uid, mode } = Deno.statSync(dirname(path));
  if (uid === null || mode === null) return undefined; // Windows
  const advice = "Use a folder that only you can write.";
  if ((mode & WRITABLE_FOR_OTHERS) !== 0) {
    return new PathFault(`others can write its folder (mode ${octal(mode & 0o7777)})`, advice);
  }
  if ([0, owner].includes(uid) || owner === -1) return undefined;
  return new PathFault(`its folder belongs to another user (uid ${uid})`, advice);
}

/** The fault of a file that this process reads. The superuser can change every file anyway. */
export function faultOfContent(
  path: string,
  info: Deno.FileInfo,
  forbidden: number,
): PathFault | undefined {
  const { uid, mode } = info;
  if (uid === null || mode === null) return undefined; // Windows
  const isClosedToWrites = (mode & WRITABLE_FOR_OTHERS) === 0;
  if (uid === 0 && isClosedToWrites) return undefined;
  const isOwned = isOwn(path, info);
  if (!isOwned && uid !== 0) return faultOfOwner(path, info);
  const bits = isOwned ? forbidden : WRITABLE_FOR_OTHERS;
  return faultOfMode(path, info, bits);
}

function octal(mode: number) {
  return mode.toString(8);
}

/** Whether others than the owner may open a file or folder. Windows has no such bits. */
export function isOpen({ mode }: Deno.FileInfo): boolean {
  return !isWindows && ((mode ?? 0) & 0o077) !== 0;
}

/** Whether two looks at a file met the same one. */
export function isSameFile(one: Deno.FileInfo, other: Deno.FileInfo): boolean {
  return one.ino === other.ino && one.dev === other.dev;
}

/** Whether an open file, by the information about it, is still the one at `path`. A link is another one. */
export function isStillAt(path: string, info: Deno.FileInfo): boolean {
  const found = lookIfPresent(path);
  return found !== undefined && isSameFile(info, found);
}

/** Whether a file has the same text at two looks, as far as they tell. */
export function isSameText(one: Deno.FileInfo, other: Deno.FileInfo): boolean {
  return one.size === other.size && one.mtime?.getTime() === other.mtime?.getTime();
}

let ownUid: number | undefined;

/** The user of this process; -1 where Deno does not tell. */
function self() {
  if (ownUid === undefined && isGranted({ name: "sys", kind: "uid" })) ownUid = Deno.uid() ?? -1;
  return ownUid ?? -1;
}

/**
 * Whether an opened file belongs to the user of this process.
 *
 * The user's id takes `--allow-sys=uid`, which no store asks for: without it, a file is the user's that only
 * its owner may open, and so is one in a folder of the same owner that only its owner may open. A network
 * file system may give every file another owner: then its folder has the same one, unless this is the
 * superuser, who may open everything.
 */
export function isOwn(path: string, info: Deno.FileInfo): boolean {
  const { uid } = info;
  const user = self();
  if (uid === null || uid === user) return true; // null: Windows
  if (user === 0) return false;
  const folder = lookAtFolder(path);
  const isClosed = !isOpen(info);
  if (user !== -1) return isClosed && (folder?.uid ?? uid) === uid;
  return isClosed || folder?.uid === uid && !isOpen(folder);
}

/** The folder of `path`, where Deno permits to look at it. */
function lookAtFolder(path: string) {
  const folder = dirname(path);
  return isGranted({ name: "read", path: folder }) ? Deno.statSync(folder) : undefined;
}

/** Whether nobody else can have put a pipe or a link in the place of a file since a look at it. */
export function staysInPlace(path: string, { uid }: Deno.FileInfo): boolean {
  const folder = lookAtFolder(path);
  if (!folder || ((folder.mode ?? 0) & WRITABLE_FOR_OTHERS) !== 0) return false;
  const user = self() === -1 ? uid : self();
  return [0, user].some((one) => one === folder.uid);
}
