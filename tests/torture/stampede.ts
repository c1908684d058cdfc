import { createSession, credentialKey, FileCredentialsBackend } from "@validmind/auth";
import { startOidcProvider, type TestOidcProvider } from "../support/oidc_provider.ts";
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
 * of the same processes with a valid token, for the time.
 */
export async function stampede(options: StampedeOptions): Promise<TortureResult> {
  await using provider = await startOidcProvider({ interval: 0.05 });
  provider.autoApprove = true;
  const run = new StampedeRun(provider, options);
  await run.signIn();
  for (let round = 0; round < options.count; round++) {
    await run.expired(round);
    await run.valid(round);
  }
  return run.result();
}

class StampedeRun {
  readonly #provider: TestOidcProvider;
  readonly #options: StampedeOptions;
  readonly #backend: FileCredentialsBackend;
  readonly #failures: string[] = [];
  readonly #expiredMs: number[] = [];
  readonly #validMs: number[] = [];
  #refreshes = 0;
  #failed = 0;

  constructor(provider: TestOidcProvider, options: StampedeOptions) {
    this.#provider = provider;
    this.#options = options;
    this.#backend = new FileCredentialsBackend({ path: `${options.folder}/credentials.json` });
  }

  async signIn(): Promise<void> {
    const { issuer, clientId } = this.#provider;
    await createSession({
      issuer,
      clientId,
      credentialsBackend: this.#backend,
      onDeviceCode: () => {},
    });
  }

  async expired(round: number): Promise<void> {
    const key = this.#key();
    const entry = this.#backend.get(key)!;
    await this.#backend.put(key, { ...entry, expires_at: "2020-01-01T00:00:00Z" });
    this.#provider.reset();
    this.#expiredMs.push(await this.#startAll(round));
    const refreshes = this.#provider.requests.filter(({ grantType }) =>
      grantType === "refresh_token"
    );
    this.#refreshes += refreshes.length;
    if (refreshes.length !== 1) {
      this.#failures.push(`round ${round}: ${refreshes.length} refreshes`);
    }
  }

  async valid(round: number): Promise<void> {
    this.#validMs.push(await this.#startAll(round));
  }

  async result(): Promise<TortureResult> {
    const { count, processes } = this.#options;
    const token = this.#backend.get(this.#key())!.access_token;
    const isAlive = await this.#provider.isActive(token);
    if (!isAlive) this.#failures.push("the grant is dead");
    const ratios = this.#expiredMs.map((ms, round) => ms / this.#validMs[round]!);
    return {
      name: `${count} rounds of ${processes} processes and one expired rotating token`,
      figures: {
        "refreshes": this.#refreshes,
        "failed starts": this.#failed,
        "grant alive": isAlive ? "yes" : "no",
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
    const expected = await sha256Hex(this.#backend.get(this.#key())!.access_token);
    for (const { stdout, stderr } of outputs) {
      if (new TextDecoder().decode(stdout) === expected) continue;
      this.#failed++;
      this.#failures.push(`round ${round}: ${new TextDecoder().decode(stderr).slice(0, 300)}`);
    }
    return ms;
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
