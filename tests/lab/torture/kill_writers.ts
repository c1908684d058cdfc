import { FileCredentialsBackend } from "@validmind/auth";
import { Random } from "./random.ts";
import { ALL, startDeno } from "../../support/deno_process.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

const SCANNER = new URL("scanner_child.ts", import.meta.url).href;
const WRITER = new URL("writer_child.ts", import.meta.url).href;

/** Two at a time: one holds the lock, or is killed with it, while the other wants it. */
const WRITERS = 2;

/** Options of {@linkcode killWriters}. */
export interface KillOptions extends TortureOptions {
  /** Whether a scanner, of Windows, holds the files meanwhile. @default {false} */
  isScanned?: boolean;
  /** The longest life of a writer from its first write on, in milliseconds. @default {12} */
  longestMs?: number;
}

/**
 * Kills writers with SIGKILL at random moments, and looks after each kill whether every write that
 * was acknowledged is there, the lock is free, and nothing piles up in the folder.
 */
export async function killWriters(
  { count, seed, folder, isScanned = false, longestMs = 12 }: KillOptions,
): Promise<TortureResult> {
  const path = `${folder}/credentials.json`;
  const random = new Random(seed);
  const run = new KillRun(path);
  await using scanner = isScanned
    ? startDeno({ file: SCANNER, flags: ALL, args: [folder, String(seed)] })
    : undefined;
  let left = count;
  await Promise.all(Array.from({ length: WRITERS }, async (_, slot) => {
    while (left-- > 0) await run.killOne(`slot${slot}`, random.int(0, 1000 * longestMs) / 1000);
  }));
  const held = await scanner?.end();
  await run.verifyAll();
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
  const leftovers = names.filter((name) => !/^credentials\.json(\.lock|\.tmp)?$/.test(name));
  if (leftovers.length > 0) run.failures.push(`leftovers: ${leftovers.join(", ")}`);
  return {
    name: `${count} writers killed with SIGKILL${isScanned ? " beside a scanner" : ""}`,
    figures: {
      "acknowledged writes": run.acknowledged,
      "lost": run.lost,
      "stale locks": run.staleLocks,
      "leftovers": leftovers.length,
      ...held && {
        "puts refused": run.refused,
        "times that a file was held": Number(held.stdout),
      },
    },
    failures: run.failures,
  };
}

class KillRun {
  readonly failures: string[] = [];
  acknowledged = 0;
  lost = 0;
  staleLocks = 0;
  /** Writers that ended with an error before they were killed. */
  refused = 0;
  readonly #backend: FileCredentialsBackend;
  /** The highest acknowledged number of each key. */
  readonly #seen = new Map<string, number>();

  constructor(path: string) {
    this.#backend = new FileCredentialsBackend({ path, lockTimeoutMs: 10_000 });
  }

  async killOne(prefix: string, afterMs: number): Promise<void> {
    const start = Math.max(0, ...this.#numbers(prefix)) + 1;
    const args = [this.#backend.path, prefix, String(start)];
    await using child = startDeno({ file: WRITER, flags: ALL, args });
    const acknowledged: string[] = [];
    for await (const line of child.lines()) {
      if (acknowledged.length === 0) setTimeout(() => child.kill(), afterMs);
      acknowledged.push(line);
    }
    const { stderr } = await child.end();
    if (acknowledged.length === 0) this.failures.push(`a writer failed: ${stderr.slice(0, 300)}`);
    else if (stderr !== "") this.refused++;
    this.#note(acknowledged);
    this.#verify(prefix);
    await this.#probeLock(prefix);
  }

  verifyAll(): void {
    for (const key of this.#seen.keys()) this.#verifyKey(key);
  }

  /** Whole lines only: a line that was cut was not acknowledged to anybody. */
  #note(lines: readonly string[]): void {
    for (const line of lines) {
      const [key, n] = line.split(" ") as [string, string];
      this.#seen.set(key, Number(n));
      this.acknowledged++;
    }
  }

  #verify(prefix: string): void {
    for (const key of this.#seen.keys()) if (key.startsWith(prefix)) this.#verifyKey(key);
  }

  #verifyKey(key: string): void {
    try {
      const stored = Number(this.#backend.get(key)?.n ?? -1);
      if (stored >= this.#seen.get(key)!) return;
      this.failures.push(`${key}: acknowledged ${this.#seen.get(key)}, stored ${stored}`);
    } catch (error) {
      this.failures.push(`${key}: ${error}`);
    }
    this.lost++;
  }

  async #probeLock(prefix: string): Promise<void> {
    try {
      await this.#backend.put(`probe|${prefix}`, {
        issuer: "probe",
        client_id: "probe",
        access_token: "probe",
      });
    } catch (error) {
      this.staleLocks++;
      this.failures.push(`after a kill: ${error}`);
    }
  }

  #numbers(prefix: string): number[] {
    return [...this.#seen].filter(([key]) => key.startsWith(prefix)).map(([, n]) => n);
  }
}
