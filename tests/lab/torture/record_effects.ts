import { resolve } from "@std/path";
import type { DiskState, FileEffect } from "./crash_states.ts";
import { mustRun, succeeds } from "../../support/deno_process.ts";

/** The calls that change files, or make changes durable. */
const CALLS = [
  ...["open", "openat", "creat", "close", "write", "pwrite64", "lseek", "ftruncate", "truncate"],
  ...[
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "rmdir",
    "mkdir",
  ],
];
/** More than any file of these tortures has. */
const LONGEST_TEXT = 1_000_000;
/** The line on standard output by which a program says that its call has returned. */
export const ACKNOWLEDGED = "acknowledged\n";

/** What a program did to the files of a folder. */
export interface Recording {
  /** The folder before; paths begin at it. */
  readonly before: DiskState;
  /** The number of each file that was there before. */
  readonly files: ReadonlyMap<string, number>;
  readonly effects: readonly FileEffect[];
}

/** A call as strace has it. */
interface Call {
  name: string;
  args: string[];
  result: number;
}

/** Whether strace is there, and may trace. */
export async function canRecord(): Promise<boolean> {
  return await succeeds(["strace", "-o", "/dev/null", "true"]);
}

/**
 * Runs a program under strace, and gives its changes to the files in `folder`.
 *
 * @param traces A folder for the records of strace.
 */
export async function recordEffects(
  folder: string,
  traces: string,
  command: readonly string[],
): Promise<Recording> {
  const before = readDisk(folder);
  const paths = [...before.keys()].filter((path) => before.get(path) !== "folder");
  const files = new Map(paths.map((path, index) => [path, index]));
  const flags = ["-f", "-ff", "-ttt", "-xx", "-s", `${LONGEST_TEXT}`, "-o", `${traces}/trace`];
  const traced = ["strace", ...flags, "-e", `trace=${CALLS}`, ...command];
  await mustRun(traced, { inheritEnv: true, timeoutMs: 120_000 });
  const tracker = new EffectTracker(folder, files);
  for (const call of readCalls(traces)) tracker.follow(call);
  return { before, files, effects: tracker.effects };
}

/** The files below a folder. */
export function readDisk(folder: string, at = ""): Map<string, Uint8Array | "folder"> {
  const disk = new Map<string, Uint8Array | "folder">();
  for (const { name, isDirectory } of Deno.readDirSync(folder + at)) {
    const path = `${at}/${name}`;
    disk.set(path, isDirectory ? "folder" : Deno.readFileSync(folder + path));
    if (isDirectory) {
      for (const [inner, content] of readDisk(folder, path)) disk.set(inner, content);
    }
  }
  return disk;
}

/** The calls of all threads, in the order of their times. */
function readCalls(traces: string): Call[] {
  const lines = [...Deno.readDirSync(traces)]
    .flatMap(({ name }) => Deno.readTextFileSync(`${traces}/${name}`).split("\n"))
    .map((line) => /^([\d.]+) (\w+)\((.*)\)\s+= (-?\d+)/.exec(line))
    .filter((match) => match !== null);
  const calls = lines.map(([, time, name, args, result]) => ({
    time: Number(time),
    call: { name: name!, args: args!.split(", "), result: Number(result) },
  }));
  return calls.sort((a, b) => a.time - b.time).map(({ call }) => call);
}

/** Follows descriptors and names through the calls of one program. */
class EffectTracker {
  readonly effects: FileEffect[] = [];
  readonly #folder: string;
  readonly #files: Map<string, number>;
  readonly #open = new Map<number, { path: string; file: number | undefined; offset: number }>();
  #nextFile: number;

  constructor(folder: string, files: ReadonlyMap<string, number>) {
    this.#folder = folder;
    this.#files = new Map(files);
    this.#nextFile = files.size;
  }

  follow({ name, args, result }: Call): void {
    if (result < 0) return;
    const [first = "", second = "", , fourth = ""] = args;
    const fd = Number(first);
    switch (name) {
      case "open":
        return this.#opened(result, first, second);
      case "openat":
        return this.#opened(result, second, args[2]!);
      case "close":
        return void this.#open.delete(fd);
      case "write":
        return this.#written(fd, second, undefined);
      case "pwrite64":
        return this.#written(fd, second, Number(fourth));
      case "lseek":
        return this.#moved(fd, result);
      case "ftruncate":
        return this.#resized(this.#open.get(fd)?.file, Number(second));
      case "fsync":
      case "fdatasync":
        return this.#synced(fd);
      case "mkdir":
        return this.#named(this.#inside(first), "folder");
      case "unlink":
      case "rmdir":
        return this.#named(this.#inside(first), undefined);
      case "unlinkat":
        return this.#named(this.#inside(second), undefined);
      case "rename":
        return this.#renamed(first, second);
      case "renameat":
      case "renameat2":
        return this.#renamed(second, fourth);
      default:
        throw new Error(`Cannot record: ${name} is not followed`);
    }
  }

  #opened(fd: number, text: string, flags: string): void {
    const path = this.#inside(text);
    if (path === undefined) return void this.#open.delete(fd);
    if (flags.includes("O_CREAT") && !this.#files.has(path)) this.#named(path, this.#nextFile++);
    const file = this.#files.get(path);
    this.#open.set(fd, { path, file, offset: 0 });
    if (flags.includes("O_TRUNC")) this.#resized(file, 0);
  }

  #written(fd: number, text: string, offset: number | undefined): void {
    const bytes = decode(text);
    const open = this.#open.get(fd);
    if (open === undefined) {
      const isWord = fd === 1 && new TextDecoder().decode(bytes) === ACKNOWLEDGED;
      return isWord ? void this.effects.push({ kind: "acknowledged" }) : undefined;
    }
    this.effects.push({ kind: "data", file: open.file!, offset: offset ?? open.offset, bytes });
    if (offset === undefined) open.offset += bytes.length;
  }

  #moved(fd: number, offset: number): void {
    const open = this.#open.get(fd);
    if (open !== undefined) open.offset = offset;
  }

  #resized(file: number | undefined, size: number): void {
    if (file !== undefined) this.effects.push({ kind: "size", file, size });
  }

  #synced(fd: number): void {
    const open = this.#open.get(fd);
    if (open === undefined) return;
    const { path, file } = open;
    const isFolder = file === undefined;
    this.effects.push(
      isFolder ? { kind: "sync folder", folder: path } : { kind: "sync file", file },
    );
  }

  #named(path: string | undefined, file: number | "folder" | undefined): void {
    if (path === undefined) return;
    if (typeof file === "number") this.#files.set(path, file);
    else this.#files.delete(path);
    this.effects.push({ kind: "names", changes: [{ ...parts(path), file }] });
  }

  #renamed(fromText: string, toText: string): void {
    const from = this.#inside(fromText);
    const to = this.#inside(toText);
    if (from === undefined || to === undefined) return;
    const file = this.#files.get(from)!;
    this.#files.delete(from);
    this.#files.set(to, file);
    const changes = [{ ...parts(from), file: undefined }, { ...parts(to), file }];
    this.effects.push({ kind: "names", changes });
  }

  /** The path within the folder; `undefined` for one elsewhere. */
  #inside(text: string): string | undefined {
    const path = resolve(new TextDecoder().decode(decode(text))); // a folder is opened as "…/."
    return path === this.#folder || path.startsWith(`${this.#folder}/`)
      ? path.slice(this.#folder.length)
      : undefined;
  }
}

function parts(path: string): { folder: string; name: string } {
  const at = path.lastIndexOf("/");
  return { folder: path.slice(0, at), name: path.slice(at + 1) };
}

/** A text of strace, every byte of which is written as `\x` and two digits. */
function decode(text: string): Uint8Array {
  return Uint8Array.fromHex(text.replaceAll(/\\x|"/g, ""));
}
