import {
  adviceOnDenial,
  faultOfContent,
  faultOfKind,
  faultOfOwner,
  isSameFile,
  isSameText,
  PathFault,
  staysInPlace,
} from "./judge_path.ts";
import { isWindows, needDeno, quoteArgument } from "./runtime.ts";

/** Another program may replace a file between two steps, but hardly each time. */
const TRIES = 20;

/** How {@linkcode readPrivateFile} judges a file. */
interface PrivateFileOptions {
  /** The thing in the file, for messages: "a key". */
  what: string;
  /** The size of the largest such thing. @default {1 MiB} */
  maxBytes?: number;
  /** Bits that the mode of the user's own file must not have. @default {0o077} */
  forbiddenMode?: number;
  /**
   * Makes the error to throw. The cause is Deno's own error, if there is one: `NotFound` where the file
   * is absent, `NotCapable` where Deno denies something.
   */
  fail: (reason: string, advice: string, cause?: unknown) => Error;
}

/** The content of a file, and the file as it was before it was read. */
export interface PrivateContent {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly info: Deno.FileInfo;
}

/**
 * The text of a file that other users of the host may have touched: see {@linkcode readPrivateBytes}.
 */
export function readPrivateFile(path: string, options: PrivateFileOptions): string {
  const { bytes } = readPrivateBytes(path, options);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw options.fail("it is not UTF-8 text", "Save it as UTF-8.");
  }
}

/**
 * Reads a file that other users of the host may have touched.
 *
 * It is opened once, and judged by the open file: a regular file of this user with a closed mode, or one
 * of the superuser that nobody else may write. A link is followed where the superuser, this user or the
 * owner of its target has made it: platforms mount secrets behind links.
 */
export function readPrivateBytes(path: string, options: PrivateFileOptions): PrivateContent {
  needDeno(`read ${path}`, "Pass its content by an option or a variable, where there is one.");
  try {
    for (let tries = 0; tries < TRIES; tries++) {
      const content = readOnce(path, options);
      if (content) return content;
    }
    throw new PathFault("another program keeps changing it", "End that program.");
  } catch (error) {
    const { reason, advice, cause } = refusalFor(path, error);
    throw options.fail(reason, advice, cause);
  }
}

/** `undefined` where the file was replaced or written meanwhile: half a token may look like one. */
function readOnce(path: string, options: PrivateFileOptions): PrivateContent | undefined {
  const { what, maxBytes = 1024 * 1024, forbiddenMode = 0o077 } = options;
  const link = Deno.lstatSync(path);
  const found = link.isSymlink ? Deno.statSync(path) : link;
  refuse(faultOfKind(found, "Give the path of a regular file."));
  // In a shared folder, and behind a link, a named pipe may have come to its place, and would block.
  const isSafe = isWindows || !link.isSymlink && staysInPlace(path, found);
  const file: OpenFile = whileHeld(() =>
    isSafe ? Deno.openSync(path) : openWithoutWait(path, found)
  );
  try {
    const info = file.statSync();
    if (!isSameFile(info, found)) return undefined;
    refuse(faultOfContent(path, info, forbiddenMode));
    const isOfOwner = link.uid === 0 || link.uid === info.uid;
    if (link.isSymlink && !isOfOwner) refuse(faultOfOwner(path, link));
    if (info.size > maxBytes) {
      const reason = `it has ${info.size} bytes, more than ${what}`;
      throw new PathFault(reason, "Check the path.");
    }
    const bytes = readToEnd(file, info.size);
    const isUnchanged = bytes.length <= info.size && isSameText(info, file.statSync());
    return isUnchanged ? { bytes, info } : undefined;
  } finally {
    file.close();
  }
}

function refuse(fault: PathFault | undefined) {
  if (fault) throw fault;
}

function readToEnd(file: OpenFile, size: number) {
  const buffer = new Uint8Array(size + 1); // a byte more shows that the file has grown
  let length = 0;
  for (let count = 1; count > 0; length += count) {
    count = file.readSync(buffer.subarray(length)) ?? 0;
  }
  return buffer.subarray(0, length);
}

function refusalFor(path: string, error: unknown) {
  if (error instanceof PathFault) return error;
  const { NotADirectory, NotCapable, NotFound, PermissionDenied } = Deno.errors;
  if (error instanceof NotCapable) {
    // Deno wants the real path, too, for a look at the open file: behind a linked folder also since 2.9.
    const [, denied = path] = /read access to "([^"]+)"/.exec(error.message) ?? [];
    const advice = `Add: ${quoteArgument(`--allow-read=${denied}`)}`;
    return new PathFault("Deno does not permit it", advice, error);
  }
  if (error instanceof NotFound || error instanceof NotADirectory) {
    return new PathFault("it is not there", "Check the path.", error);
  }
  if (error instanceof PermissionDenied) {
    return new PathFault("the operating system denies it", adviceOnDenial(path), error);
  }
  const { name, code = name } = error as Error & { code?: string };
  return new PathFault(`it cannot be read (${code})`, "Check its path, owner and mode.", error);
}

type OpenFile = Pick<Deno.FsFile, "statSync" | "readSync" | "close">;

declare const process: { getBuiltinModule(name: "node:fs"): typeof import("node:fs") };

/**
 * Opens a file by `node:fs`, which takes 20 ms to load, and waits for no pipe. It needs no grant for the
 * target of a link either.
 */
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
    const { code } = error as { code?: string };
    if (code === "ENOENT") throw new NotFound();
    throw code === "EACCES" ? new PermissionDenied() : error;
  }
}

/**
 * Repeats an access for about a second while another program keeps Windows from it. Windows has two codes
 * for that: one of them is a plain denial.
 */
export function whileHeld<T>(access: () => T, onWindows: boolean = isWindows): T {
  for (let tries = 1;; tries++) {
    try {
      return access();
    } catch (error) {
      const isBusy = (error as { code?: string }).code === "EBUSY";
      const isHeld = isBusy || error instanceof Deno.errors.PermissionDenied;
      if (!onWindows || !isHeld || tries === 40) throw error;
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 25);
  }
}
