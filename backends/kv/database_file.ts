import { assertOwn, assertRegular, lstatIfPresent, refusal } from "../file/file_access.ts";

const ACTION = "use the Deno KV file";
/** The endings of the files that SQLite makes beside a database. They hold entries, too. */
const SIDES = ["-journal", "-wal", "-shm"];
/** More than SQLite needs at once to open a database, or to write an entry of some size. */
const PROBE_BYTES = 64 * 1024;

/**
 * The files of a database that SQLite opens by their names. Each has to be a regular file of this
 * process's user that nobody else can read: the owner of a `-wal` file can read the tokens that are
 * written into it, and plant other ones.
 *
 * No existing file is opened here. SQLite's locks belong to the process, and the kernel drops them
 * when any descriptor of the file is closed.
 */
export class DatabaseFile {
  /** The database itself, also where the given path is a link to it. */
  readonly path: string;
  readonly #isLinked: boolean;

  /**
   * Makes the database file, 0600, where there is none: SQLite gives its other files the same mode. The
   * folder has to be there.
   */
  constructor(path: string) {
    const found = lstatIfPresent(path);
    this.#isLinked = found?.isSymlink ?? false;
    this.path = this.#isLinked ? Deno.realPathSync(path) : path;
    const isNew = found === undefined && create(path);
    const mode = this.#close("");
    if (mode !== undefined && !isNew) tell(this.path, mode);
    // Made here, so that nobody can plant them. SQLite removes them from beside an empty database.
    if (!isNew) { for (const side of ["-wal", "-shm"]) create(`${this.path}${side}`); }
    for (const side of SIDES) this.#close(side);
  }

  /** Closes the files to others, and refuses those that are not safe. */
  secure(): void {
    for (const side of ["", ...SIDES]) this.#close(side);
  }

  /** Makes one of the files 0600. Gives its mode where that was another. */
  #close(side: string): number | undefined {
    const path = `${this.path}${side}`;
    const info = lstatIfPresent(path);
    if (info === undefined) return undefined;
    assertRegular(ACTION, path, info);
    assertOwn(ACTION, path, info);
    const mode = Deno.build.os === "windows" ? 0 : (info.mode ?? 0) & 0o777;
    if ((mode & 0o077) === 0) return undefined;
    if (this.#isLinked) {
      const reason = `others can read it (mode ${mode.toString(8)}), and a link leads to it`;
      throw refusal(ACTION, path, reason);
    }
    Deno.chmodSync(path, 0o600);
    return mode;
  }
}

/**
 * Writes a file beside the database, and removes it. SQLite says little about the cause of a failure;
 * this write throws the operating system's own error.
 */
export function probeFolder(path: string): void {
  const probe = `${path}.${crypto.randomUUID()}.probe`;
  try {
    Deno.writeFileSync(probe, new Uint8Array(PROBE_BYTES), { createNew: true, mode: 0o600 });
  } finally {
    if (lstatIfPresent(probe) !== undefined) Deno.removeSync(probe);
  }
}

/** Makes a file where there is none. Gives whether it did. */
function create(path: string): boolean {
  try {
    Deno.openSync(path, { write: true, createNew: true, mode: 0o600 }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw error;
  }
}

function tell(path: string, mode: number): void {
  const text = `@validmind/auth: ${path} could be read by others on this host (mode ` +
    `${mode.toString(8)}); it is now closed to them. If others use this host, sign in again.\n`;
  try {
    Deno.stderr.writeSync(new TextEncoder().encode(text));
  } catch {
    // The mode is changed. A closed standard error is no reason to fail.
  }
}
