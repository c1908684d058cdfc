import { credentialKey, FileCredentialsBackend } from "@validmind/auth";
import { ProviderProcess } from "../support/provider_process.ts";
import { sha256Hex } from "../support/sha256_hex.ts";
import { spawnModule } from "./spawn_module.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

/** Options of {@linkcode stampede}. */
export interface StampedeOptions extends TortureOptions {
  /** How many processes start at once. */
  processes: number;
}

/**
 * Starts many processes at once on one expired token of a provider that rotates refresh tokens and
 * detects reuse: exactly one of them may refresh, and none may fail. Each round is followed by one
 * of the same processes with a valid token, for the time. The provider is a process of its own, as
 * providers are: beside the one that starts the others it would stand still while they start.
 */
export async function stampede(options: StampedeOptions): Promise<TortureResult> {
  await using provider = await ProviderProcess.start();
  const run = new StampedeRun(provider, options);
  await run.signIn();
  for (let round = 0; round < options.count; round++) {
    await run.expired(round);
    await run.valid(round);
  }
  return run.result();
}

class StampedeRun {
  readonly #provider: ProviderProcess;
  readonly #options: StampedeOptions;
  readonly #backend: FileCredentialsBackend;
  readonly #failures: string[] = [];
  readonly #expiredMs: number[] = [];
  readonly #validMs: number[] = [];
  #refreshes = 0;
  #failed = 0;
  #isAlive = true;

  constructor(provider: ProviderProcess, options: StampedeOptions) {
    this.#provider = provider;
    this.#options = options;
    this.#backend = new FileCredentialsBackend({ path: `${options.folder}/credentials.json` });
  }

  async signIn(): Promise<void> {
    await this.#provider.signIn(this.#backend);
  }

  async expired(round: number): Promise<void> {
    const key = this.#key();
    const entry = this.#backend.get(key)!;
    await this.#backend.put(key, { ...entry, expires_at: "2020-01-01T00:00:00Z" });
    this.#expiredMs.push(await this.#startAll(round));
    const { refreshes, isActive } = await this.#provider.ask(this.#stored());
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
        "median ms, expired": Math.round(median(this.#expiredMs)),
        "median ms, valid": Math.round(median(this.#validMs)),
        "median ratio": median(ratios).toFixed(2),
        "ratio, quartiles": [0.25, 0.75].map((q) => quantile(ratios, q).toFixed(2)).join("–"),
      },
      failures: this.#failures,
    };
  }

  /** Milliseconds until all processes have the one token that is stored. */
  async #startAll(round: number): Promise<number> {
    const { issuer, clientId } = this.#provider;
    const args = [this.#backend.path, issuer, clientId];
    const begin = performance.now();
    const outputs = await Promise.all(
      Array.from(
        { length: this.#options.processes },
        () => spawnModule("start_child.ts", args).output(),
      ),
    );
    const ms = performance.now() - begin;
    const expected = await sha256Hex(this.#stored());
    for (const { stdout, stderr } of outputs) {
      if (new TextDecoder().decode(stdout) === expected) continue;
      this.#failed++;
      this.#failures.push(`round ${round}: ${new TextDecoder().decode(stderr).slice(0, 300)}`);
    }
    return ms;
  }

  #stored(): string {
    return this.#backend.get(this.#key())!.access_token;
  }

  #key(): string {
    return credentialKey(this.#provider.issuer, this.#provider.clientId);
  }
}

function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * q)] ?? NaN;
}
