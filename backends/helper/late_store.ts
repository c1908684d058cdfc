import { hashOf } from "../common/bytes.ts";
import { lookIfPresent } from "../common/judge_path.ts";
import { isGranted } from "../common/permission.ts";
import { repeat } from "../common/repeat.ts";
import { warnOnStderr } from "../common/runtime.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { filesBeside, tryRemove } from "../file/remove_file.ts";
import { makeFolder } from "../file/replace_file.ts";

/** The name of a mark, after the names of the store and of the entry: the end of the time, and the hash. */
const MARK = /^\.(\d+)\.([\da-f]{64})\.store$/;

/**
 * The marks of programs that store one entry: empty files beside the locks. Each is there from before a store
 * until after it. A program may outlive its process, or its child may outlive the program, and then writes
 * after a sign-out.
 */
export class StoreMarks {
  constructor(readonly base: string, readonly timeoutMs: number) {}

  /** Stores a secret under a mark, which stays for a while where the program may not have ended. */
  async during<T>(secret: string, store: () => Promise<T>) {
    const mark = await this.set(secret);
    try {
      return await store();
    } catch (error) {
      const { code } = error as CredentialsBackendError;
      if (code === "backend_timeout") await this.set(secret); // its child may take as long again
      throw error;
    } finally {
      tryRemove(mark);
    }
  }

  /** Sets a mark. Where that fails, such as without an inode, the secret is stored all the same. */
  async set(secret: string) {
    const until = Math.round(Date.now() + this.timeoutMs);
    const path = `${this.base}.${until}.${await hashOf(secret)}.store`;
    try {
      if (!isGranted({ name: "write", path })) return path;
      for (const late of this.read()) if (late.leftMs === 0) tryRemove(late.path);
      makeFolder(path);
      Deno.openSync(path, { write: true, createNew: true, mode: 0o600 }).close();
    } catch {
      // See above.
    }
    return path;
  }

  /**
   * The marks of programs that may still store something, although nobody waits for them: each with the time
   * that is left to its program, and the hash of the secret.
   */
  read() {
    return filesBeside(this.base, MARK).map(({ path, found: [, until, hash = ""] }) => {
      // A clock may have been set: nothing takes longer than the time limit.
      const leftMs = Math.min(Math.max(Number(until) - Date.now(), 0), this.timeoutMs);
      return { path, leftMs, hash };
    });
  }

  /**
   * Removes an entry by `erase`, and waits until programs have ended that may still store it, or have no time
   * left. What they stored is removed, too. A newer entry is left alone.
   *
   * @param look Gives the hash of the secret that is there.
   */
  async remove(
    program: string,
    look: () => Promise<string>,
    erase: () => Promise<void>,
  ) {
    const late = this.read();
    if (late.length === 0) return await erase();
    const leftMs = Math.max(...late.map((one) => one.leftMs));
    warnOnStderr(
      `${program} may still be storing the entry: its process was ended, or had no time left. ` +
        `The sign-out waits for it, up to ${Math.ceil(leftMs / 1000)} s.`,
    );
    const hashes = new Set(late.map(({ hash }) => hash));
    await erase().catch(async (error) => {
      if (!hashes.has(await look())) throw error; // else it has come between the removal and the look
    });
    const end = performance.now() + leftMs;
    const limits = {
      withinMs: leftMs + 3 * this.timeoutMs, // the looks take time, too
      pauseMs: 100,
      over: (spent: string) =>
        new CredentialsBackendError("backend_timeout", {
          action: `remove credentials by ${program}`,
          reason: `it may still be storing the entry, ${spent}`,
          remedy: "End it, and try again.",
        }),
    };
    await repeat(limits, async () => {
      // First the ends, then the look: what was stored before an end is seen.
      const isOver = performance.now() >= end;
      const ended = late.filter(({ path }) => isOver || lookIfPresent(path) === undefined);
      const hash = await look();
      if (hashes.delete(hash)) await erase();
      for (const { hash } of ended) hashes.delete(hash);
      return hashes.size === 0 || undefined;
    });
    for (const { path } of late) tryRemove(path);
  }
}
