import {
  faultOfFolder,
  faultOfKind,
  faultOfMode,
  faultOfOwner,
  lookIfPresent,
  PathFault,
} from "../common/judge_path.ts";
import { resolveLink } from "../file/document.ts";
import { fileError, isFull, refuse } from "../file/faults.ts";
import { makeFolder, proveWrite, removeIfPresent } from "../file/replace_file.ts";

const ACTION = "use the Deno KV file";
/** The endings of a database and of the files that SQLite makes beside it. All hold entries. */
const FILES = ["", "-journal", "-wal", "-shm"];
/** The begin of every database. */
const HEADER = "SQLite format 3\0";
const NO_DATABASE = new PathFault("it is not a database", "Check the path, or remove it yourself.");
/** More than SQLite's own files take at first. */
const SPACE_BYTES = 65_536;
const OPEN_TO_OTHERS = 0o077;

/** The file of a database. */
export interface DatabaseFile {
  /** Its own path, also where the given one is a link to it. */
  readonly path: string;
  readonly info: Deno.FileInfo;
}

/**
 * Judges the files of a database, and makes the database where there is none. SQLite opens them by their
 * names, and gives those that it makes the mode of the database. So nobody else may be able to put another
 * one in their place: that is known before anything is made. Each has to be a regular file of this
 * process's user, closed to others. None is changed: it may be another program's.
 *
 * No existing file is opened here. SQLite's locks belong to the process, and the kernel drops them
 * when any descriptor of the file is closed.
 */
export function prepareDatabase(given: string): DatabaseFile {
  makeFolder(given);
  refuse(ACTION, given, faultOfFolder(given));
  const path = resolveLink(given);
  refuse(ACTION, path, faultOfFolder(path));
  makeDatabase(path);
  judgeFiles(path);
  const info = Deno.lstatSync(path);
  refuse(ACTION, path, faultOfFolder(path, info.uid));
  return { path, info };
}

function makeDatabase(path: string) {
  try {
    Deno.openSync(path, { write: true, createNew: true, mode: 0o600 }).close();
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

function judgeFiles(database: string) {
  for (const path of FILES.map((ending) => database + ending)) {
    const info = lookIfPresent(path);
    if (info === undefined) continue; // another process that ends has SQLite remove its side files
    refuse(ACTION, path, faultOfKind(info));
    refuse(ACTION, path, faultOfOwner(path, info));
    refuse(ACTION, path, faultOfMode(path, info, OPEN_TO_OTHERS));
  }
}

/** Whether the disk of a database has no space for SQLite's own files. SQLite has several words for that. */
export async function isDiskFull(path: string) {
  try {
    const unused = `${path}.${crypto.randomUUID()}.tmp`;
    (await proveWrite(unused, SPACE_BYTES)).end();
    return false;
  } catch (error) {
    return isFull(error);
  }
}

/**
 * Removes a database with all that is in it, which needs no space. Without a database, the files with such
 * names are another program's.
 */
export function removeDatabase(given: string) {
  try {
    const path = resolveLink(given);
    const info = lookIfPresent(path);
    if (info === undefined) return;
    judgeFiles(path);
    if (info.size > 0 && beginOf(path) !== HEADER) refuse("remove", path, NO_DATABASE);
    for (const ending of FILES.toReversed()) removeIfPresent(`${path}${ending}`);
    if (path !== given) makeDatabase(path); // a link to nothing would be an error from now on
  } catch (error) {
    throw fileError("remove", given, error);
  }
}

function beginOf(path: string) {
  using file = Deno.openSync(path);
  const bytes = new Uint8Array(HEADER.length);
  file.readSync(bytes);
  return new TextDecoder().decode(bytes);
}
