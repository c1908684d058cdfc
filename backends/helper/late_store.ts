import { hashOf } from "../common/bytes.ts";
import { parseObject } from "../common/json.ts";
import { lookIfPresent } from "../common/judge_path.ts";
import { basename, dirname, join } from "../common/paths.ts";
import { isGranted } from "../common/permission.ts";
import { readPrivateFile } from "../common/read_private_file.ts";
import { repeat } from "../common/repeat.ts";
import { warnOnStderr } from "../common/runtime.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { shortHash } from "../file/lock.ts";
import { makeFolder, removeIfPresent, replaceFile } from "../file/replace_file.ts";

/** A program that may still store an entry, although nobody waits for it any more. */
export class LateStore {
  constructor(
    readonly path: string,
    /** The time that is left to the program, in milliseconds. */
    readonly leftMs: number,
    readonly secretHash: unknown,
  ) {}

  /** Whether its mark has gone: then the program has ended. */
  hasEnded(): boolean {
    return lookIfPresent(this.path) === undefined;
  }

  /** Whether a secret is the one that it stores. */
  async stores(secret: unknown): Promise<boolean> {
    return typeof secret === "string" && await hashOf(secret) === this.secretHash;
  }

  /** Removes its mark. */
  forget(): void {
    try {
      removeIfPresent(this.path);
    } catch {
      // A sign-out waits once more for nothing.
    }
  }
}

/**
 * The marks of programs that store one entry. Each stands beside the locks from before a store until after
 * it: a program may outlive its process, or its child may outlive the program, and then writes after a
 * sign-out.
 */
export class StoreMarks {
  readonly #base: string;
  readonly #timeoutMs: number;
  readonly #folder: string;

  constructor(base: string, timeoutMs: number) {
    this.#base = base;
    this.#timeoutMs = timeoutMs;
    this.#folder = dirname(base);
  }

  /** Stores a secret under its mark, which stays where the program may not have ended. */
  async during<T>(secret: string, store: () => Promise<T>): Promise<T> {
    const mark = await this.set(secret);
    try {
      const ended = await store();
      mark.forget();
      return ended;
    } catch (error) {
      const { code } = error as CredentialsBackendError;
      const wasStarted = code === "backend_timeout" || code === "backend_corrupt";
      if (wasStarted) await this.set(secret); // its child may take as long again
      else mark.forget();
      throw error;
    }
  }

  /** Sets the mark of a secret. Where that fails, such as on a full disk, it is stored all the same. */
  async set(secret: string): Promise<LateStore> {
    const path = `${this.#base}.${shortHash(secret)}.store`;
    const mark = { until: Date.now() + this.#timeoutMs, secret: await hashOf(secret) };
    try {
      if (this.#isGranted("write")) {
        makeFolder(this.#folder);
        replaceFile(path, JSON.stringify(mark), { isLocked: false });
      }
    } catch {
      // See above.
    }
    return new LateStore(path, this.#timeoutMs, mark.secret);
  }

  /** The programs that may still store something. */
  read(): LateStore[] {
    if (!this.#isGranted("read") || !this.#isGranted("write")) return [];
    const found = this.#names().map((name) => this.#readMark(join(this.#folder, name)));
    return found.filter((late) => late !== undefined);
  }

  #names(): string[] {
    const isMark = ({ name }: Deno.DirEntry) =>
      name.startsWith(`${basename(this.#base)}.`) && name.endsWith(".store");
    try {
      return Array.from(Deno.readDirSync(this.#folder)).filter(isMark).map(({ name }) => name);
    } catch {
      return []; // no folder
    }
  }

  #readMark(path: string): LateStore | undefined {
    const options = { what: "a mark", maxBytes: 1000, fail: (reason: string) => Error(reason) };
    try {
      const { until, secret } = parseObject(readPrivateFile(path, options)) ?? {};
      // A clock may have been set: nothing takes longer than the time limit.
      const leftMs = Math.min(Math.max(Number(until) - Date.now(), 0), this.#timeoutMs);
      return new LateStore(path, leftMs, secret);
    } catch {
      return undefined; // its program has ended meanwhile, or it is a stranger's
    }
  }

  #isGranted(name: "read" | "write"): boolean {
    return isGranted({ name, path: this.#folder });
  }
}

/** How a late store is found and removed. */
export interface LateRemoval {
  readonly program: string;
  /** The longest time of one call of the program, in milliseconds. */
  readonly timeoutMs: number;
  /** Gives the secret that is there. */
  look(): Promise<unknown>;
  erase(): Promise<void>;
}

/**
 * Removes an entry, and waits until programs have ended that may still store it, or have no time left. What
 * they stored is removed, too. A newer entry is left alone.
 */
export async function removeLate(
  late: readonly LateStore[],
  { program, timeoutMs, look, erase }: LateRemoval,
): Promise<void> {
  try {
    await erase();
  } catch (error) {
    const secret = await look();
    const isLate = await Promise.all(late.map((one) => one.stores(secret)));
    if (!isLate.includes(true)) throw error; // else it has come between the removal and the look
  }
  const leftMs = Math.max(...late.map((one) => one.leftMs));
  warnOnStderr(
    `${program} may still be storing the entry: its process was ended, or had no time left. ` +
      `The sign-out waits for it, up to ${Math.ceil(leftMs / 1000)} s.`,
  );
  const end = performance.now() + leftMs;
  const waiting = new Set(late);
  const limits = {
    tries: Infinity,
    withinMs: leftMs + 3 * timeoutMs, // the looks take time, too
    pauseMs: 100,
    longestPauseMs: 2000,
    over: (spent: string) => stillStored(program, spent),
  };
  await repeat(limits, async () => {
    // First the ends, then the look: what was stored before an end is seen.
    const isOver = performance.now() >= end;
    const ended = late.filter((one) => isOver || one.hasEnded());
    const secret = await look();
    for (const one of late) {
      if (!await one.stores(secret)) continue;
      await erase();
      waiting.delete(one);
    }
    for (const one of ended) waiting.delete(one);
    return waiting.size === 0 || undefined;
  });
  for (const one of late) one.forget();
}

function stillStored(program: string, spent: string): CredentialsBackendError {
  return new CredentialsBackendError("backend_timeout", {
    action: `remove credentials by ${program}`,
    reason: `it may still be storing the entry, ${spent}`,
    remedy: "End it, and try again.",
  });
}
