import { sha256Hex } from "../../support/sha256_hex.ts";
import { quantile } from "./quantile.ts";
import { SignedIn } from "./signed_in.ts";
import { ALL, runDeno } from "../../support/deno_process.ts";
import { fileStore, type StartStore } from "./store.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

const CHILD = new URL("start_child.ts", import.meta.url).href;

/** Options of {@linkcode stampede}. */
export interface StampedeOptions extends TortureOptions {
  /** How many processes start at once. */
  processes: number;
  /** Where the token is. @default {a credentials file} */
  startStore?: StartStore;
}

/**
 * Starts many processes at once on one expired token of a provider that rotates refresh tokens and
 * detects reuse: exactly one of them may refresh, and none may fail. Each round is followed by one
 * of the same processes with a valid token, for the time.
 */
export async function stampede(options: StampedeOptions): Promise<TortureResult> {
  await using store = await (options.startStore ?? fileStore)(options.folder);
  return await SignedIn.run(store, async (signedIn) => {
    const run = new StampedeRun(signedIn, options);
    for (let round = 0; round < options.count; round++) {
      await run.expired(round);
      await run.valid(round);
    }
    return run.result();
  });
}

class StampedeRun {
  readonly #signedIn: SignedIn;
  readonly #options: StampedeOptions;
  readonly #failures: string[] = [];
  readonly #expiredMs: number[] = [];
  readonly #validMs: number[] = [];
  #refreshes = 0;
  #failed = 0;
  #isAlive = true;

  constructor(signedIn: SignedIn, options: StampedeOptions) {
    this.#signedIn = signedIn;
    this.#options = options;
  }

  async expired(round: number): Promise<void> {
    await this.#signedIn.expire();
    this.#expiredMs.push(await this.#startAll(round));
    const { provider } = this.#signedIn;
    const { refreshes, isActive } = await provider.ask(await this.#signedIn.token());
    this.#refreshes += refreshes;
    this.#isAlive &&= isActive;
    if (refreshes !== 1) this.#failures.push(`round ${round}: ${refreshes} refreshes`);
    if (!isActive) this.#failures.push(`round ${round}: the grant is dead`);
  }

  async valid(round: number): Promise<void> {
    this.#validMs.push(await this.#startAll(round));
  }

  result(): TortureResult {
    const { count, processes } = this.#options;
    const ratios = this.#expiredMs.map((ms, round) => ms / this.#validMs[round]!);
    return {
      name: `${count} rounds of ${processes} processes and one expired rotating token`,
      figures: {
        "refreshes": this.#refreshes,
        "failed starts": this.#failed,
        "grant alive": this.#isAlive ? "yes" : "no",
        "median ms, expired": Math.round(quantile(this.#expiredMs, 0.5)),
        "median ms, valid": Math.round(quantile(this.#validMs, 0.5)),
        "median ratio": quantile(ratios, 0.5).toFixed(2),
        "ratio, quartiles": [0.25, 0.75].map((q) => quantile(ratios, q).toFixed(2)).join("–"),
      },
      failures: this.#failures,
    };
  }

  /** Milliseconds until all processes have the one token that is stored. */
  async #startAll(round: number): Promise<number> {
    const { provider: { issuer, clientId }, env } = this.#signedIn;
    const args = [issuer, clientId];
    const begin = performance.now();
    const outputs = await Promise.all(
      Array.from(
        { length: this.#options.processes },
        () => runDeno({ file: CHILD, flags: ALL, args, env, timeoutMs: 120_000 }),
      ),
    );
    const ms = performance.now() - begin;
    const expected = await sha256Hex(await this.#signedIn.token());
    for (const { stdout, stderr } of outputs) {
      if (stdout === expected) continue;
      this.#failed++;
      this.#failures.push(`round ${round}: ${stderr.slice(0, 300)}`);
    }
    return ms;
  }
}
