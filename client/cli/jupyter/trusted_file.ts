import { readFault } from "../../../backends/common/printable.ts";
import { UsageError } from "../usage_error.ts";

/** Far above any policy. */
const LARGEST_BYTES = 64 * 1024;
const WRITABLE_FOR_OTHERS = 0o022;
const STICKY = 0o1000;

/**
 * The text of a file that decides what code may do. The file and every folder above it belong to this
 * user or to the superuser, and nobody else can write or replace them. A link is followed where it is
 * held to the same.
 *
 * @throws {UsageError} The file cannot be read, or somebody else could change it.
 */
export function readTrustedFile(path: string, place: string): string {
  try {
    const isLink = Deno.lstatSync(path).isSymlink;
    if (isLink) assertOnlyOwn(absolute(path), place);
    const real = Deno.realPathSync(path);
    assertOnlyOwn(real, place);
    using file = Deno.openSync(real);
    const info = file.statSync();
    assertOwner(real, info, place);
    if (!info.isFile) throw refusal(path, place, "it is no regular file");
    if (info.size > LARGEST_BYTES) throw refusal(path, place, "it is larger than any policy");
    const bytes = new Uint8Array(LARGEST_BYTES);
    return new TextDecoder().decode(bytes.subarray(0, file.readSync(bytes) ?? 0));
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const reason = error instanceof Deno.errors.NotFound ? "it is not there" : readFault(error);
    throw refusal(path, place, reason);
  }
}

/** Refuses a path that somebody else can lead to another file. */
function assertOnlyOwn(path: string, place: string): void {
  const parts = path.split("/");
  for (let length = parts.length; length >= 1; length--) {
    const part = parts.slice(0, length).join("/") || "/";
    assertOwner(part, Deno.lstatSync(part), place);
  }
}

function assertOwner(path: string, info: Deno.FileInfo, place: string): void {
  const { uid, mode } = info;
  if (uid === null || mode === null) return; // Windows has no modes
  if (uid !== 0 && uid !== Deno.uid()) {
    throw refusal(path, place, `it belongs to another user (uid ${uid})`);
  }
  // In a folder such as /tmp nobody can replace another one's file. A link has no mode of its own.
  const isSticky = info.isDirectory && (mode & STICKY) !== 0;
  if (!info.isSymlink && !isSticky && (mode & WRITABLE_FOR_OTHERS) !== 0) {
    throw refusal(path, place, `others can write it. Close it: chmod go-w ${path}`);
  }
}

function absolute(path: string): string {
  return path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
}

function refusal(path: string, place: string, reason: string): UsageError {
  return new UsageError(
    `Cannot use ${path} of ${place}: ${reason}. It decides what a notebook may do, so only you or ` +
      `the superuser may be able to change it.`,
  );
}
