import { CredentialsBackendError, FileCredentialsBackend } from "@validmind/auth";
import { tempDir } from "../../support/temp_home.ts";
import { type CrashState, crashStates, type DiskState } from "./crash_states.ts";
import { numberedEntry } from "./entries.ts";
import { canRecord, recordEffects } from "./record_effects.ts";
import { ALL, denoCommand } from "../../support/deno_process.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

const CHILD = new URL("power_child.ts", import.meta.url).href;

/** A call during which the power is cut. */
export type PowerCall = keyof typeof RULES;

/** The numbers of two entries in each of two files; `undefined` for an entry that is not there. */
interface Found {
  first: Pair;
  second: Pair;
}

type Pair = [number | undefined, number | undefined];

/** What may be found after a power cut: before the call has returned, and after it. */
interface Rule {
  /** Whether the first file is there before the call. */
  hasFile: boolean;
  before(found: Found): boolean;
  after(found: Found): boolean;
  /** A loss after the call, the cause of which is documented. */
  isKnownLoss?(found: Found): boolean;
}

const isPair = (pair: Pair, one?: number, two?: number) => pair[0] === one && pair[1] === two;

const put: Rule = {
  hasFile: true,
  before: ({ first }) => isPair(first, 1, 2) || isPair(first, 9, 2),
  after: ({ first }) => isPair(first, 9, 2),
};

const firstPut: Rule = {
  hasFile: false,
  before: ({ first }) => isPair(first) || isPair(first, 9),
  after: ({ first }) => isPair(first, 9),
  isKnownLoss: ({ first }) => isPair(first),
};

const migrate: Rule = {
  hasFile: true,
  before: ({ first, second }) => [0, 1].every((n) => (first[n] ?? second[n]) === n + 1),
  after: ({ second }) => isPair(second, 1, 2),
  isKnownLoss: ({ second }) => isPair(second),
};

const RULES = {
  "put": put,
  "first put": firstPut,
  "put under the lock": put,
  "delete": {
    hasFile: true,
    before: ({ first }) => isPair(first, 1, 2) || isPair(first, undefined, 2),
    after: ({ first }) => isPair(first, undefined, 2),
  },
  "deleteAll": {
    hasFile: true,
    before: ({ first }) => isPair(first, 1, 2) || isPair(first),
    after: ({ first }) => isPair(first),
  },
  "migrate": migrate,
} satisfies Record<string, Rule>;

/** The calls during which the power is cut. */
export const POWER_CALLS = Object.keys(RULES) as PowerCall[];

/** Where the two files of a torture are. */
export function powerPaths(folder: string): { first: string; second: string } {
  return {
    first: `${folder}/home/.validmind/credentials.json`,
    second: `${folder}/other/credentials.json`,
  };
}

/**
 * Records what a call asks of the file system, and looks at every state that POSIX allows on the disk
 * after a power cut: it must read as before the call or as after it, as after it once the call has
 * returned, and must take a further write.
 */
export async function cutPower(
  { count, folder, call }: TortureOptions & { call: PowerCall },
): Promise<TortureResult> {
  const name = `power cuts of ${call}`;
  if (!await canRecord()) {
    return { name, figures: { "left out": "strace is not there, or may not trace" }, failures: [] };
  }
  const run = new PowerRun(call);
  for (let round = 0; round < count; round++) await run.record(`${folder}/${round}`);
  return { name, ...run.result() };
}

class PowerRun {
  readonly #call: PowerCall;
  readonly #rule: Rule;
  readonly #failures = new Map<string, number>();
  #known = 0;
  #states = 0;
  #acknowledged = 0;

  constructor(call: PowerCall) {
    this.#call = call;
    this.#rule = RULES[call];
  }

  async record(base: string): Promise<void> {
    const [folder, traces] = [`${base}/disk`, `${base}/traces`];
    await Deno.mkdir(`${folder}/home`, { recursive: true });
    await Deno.mkdir(traces);
    if (this.#rule.hasFile) {
      const backend = new FileCredentialsBackend({ path: powerPaths(folder).first });
      for (const n of [1, 2]) await backend.put(`key|${n}`, numberedEntry(n));
    }
    const command = denoCommand({ file: CHILD, flags: ALL, args: [this.#call, folder] });
    const { before, files, effects } = await recordEffects(folder, traces, command);
    if (!effects.some(({ kind }) => kind === "acknowledged")) throw new Error("The call failed");
    for (const state of crashStates(before, files, effects)) await this.#look(state);
  }

  result(): Omit<TortureResult, "name"> {
    const failures = [...this.#failures].map(([reason, times]) => `${reason}, ${times}×`);
    const bad = this.#failures.values().reduce((sum, times) => sum + times, 0);
    const figures = {
      "states": this.#states,
      "of them after the return": this.#acknowledged,
      "unsound": bad,
      ...(this.#rule.isKnownLoss && { "with the new folder lost": this.#known }),
    };
    return { figures, failures };
  }

  async #look({ disk, isAcknowledged }: CrashState): Promise<void> {
    this.#states++;
    if (isAcknowledged) this.#acknowledged++;
    await using folder = await tempDir("power-");
    writeDisk(folder.path, disk);
    const when = isAcknowledged ? "after the return" : "before the return";
    try {
      const found = read(folder.path);
      const isSound = isAcknowledged ? this.#rule.after(found) : this.#rule.before(found);
      const isKnown = !isSound && isAcknowledged && this.#rule.isKnownLoss?.(found) === true;
      if (isKnown) this.#known++;
      else if (!isSound) return this.#fail(`${when}: ${JSON.stringify(found)}`);
      await writeAgain(folder.path);
    } catch (error) {
      if (!(error instanceof CredentialsBackendError)) throw error;
      this.#fail(`${when}: ${error.code}`);
    }
  }

  #fail(reason: string): void {
    this.#failures.set(reason, (this.#failures.get(reason) ?? 0) + 1);
  }
}

function read(folder: string): Found {
  const pair = (path: string): Pair => {
    const backend = new FileCredentialsBackend({ path });
    const [one, two] = [1, 2].map((n) => backend.get(`key|${n}`)?.n as number | undefined);
    return [one, two];
  };
  const { first, second } = powerPaths(folder);
  return { first: pair(first), second: pair(second) };
}

async function writeAgain(folder: string): Promise<void> {
  const backend = new FileCredentialsBackend({ path: powerPaths(folder).first });
  await backend.withLock("key|1", () => backend.put("key|1", numberedEntry(5)));
  if (backend.get("key|1")?.n !== 5) throw new Error("A write after a power cut is lost");
}

function writeDisk(folder: string, disk: DiskState): void {
  const paths = [...disk.keys()].sort(); // a folder comes before its files
  for (const path of paths) {
    const content = disk.get(path)!;
    if (content === "folder") Deno.mkdirSync(folder + path, { mode: 0o700 });
    else Deno.writeFileSync(folder + path, content, { mode: 0o600 });
  }
}
