import { linesOf } from "../support/oidc_provider_main.ts";
import { sha256Hex } from "../support/sha256_hex.ts";
import { Random } from "./random.ts";
import { SignedIn } from "./signed_in.ts";
import { spawnModule } from "./spawn_module.ts";
import type { StartStore, StoreServer } from "./store.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

/** Options of {@linkcode killServer}. */
export interface KillServerOptions extends TortureOptions {
  /** A store that has a server. */
  startStore: StartStore;
}

/** Two at a time: one refreshes while the other waits for it. */
const PROCESSES = 2;
/** A refresh takes about that long, from the start of the process's work. */
const LONGEST_MICROSECONDS = 120_000;
const LONGEST_OUTAGE_MS = 300;

interface Outcome {
  /** The hash of the token that a process has. */
  token?: string;
  /** The codes of the errors that it got before. */
  troubles: string[];
  error?: string;
}

/**
 * Kills a store's server at a random moment of each refresh, by a provider that rotates refresh
 * tokens and detects reuse, and starts it again. A token that a process has must then be the one that
 * is stored, and the provider must still take it.
 */
export async function killServer(options: KillServerOptions): Promise<TortureResult> {
  await using store = await options.startStore(options.folder);
  const { server } = store;
  if (server === undefined) throw new Error("Cannot kill the store's server: it has none");
  return await SignedIn.run(store, async (signedIn) => {
    const run = new KillServerRun(signedIn, server, new Random(options.seed));
    for (let round = 0; round < options.count; round++) await run.round(round);
    return run.result(options.count);
  });
}

class KillServerRun {
  readonly #signedIn: SignedIn;
  readonly #server: StoreServer;
  readonly #random: Random;
  readonly #failures: string[] = [];
  readonly #troubles = new Map<string, number>();
  #refreshes = 0;
  #acknowledged = 0;
  #lost = 0;
  #isAlive = true;

  constructor(signedIn: SignedIn, server: StoreServer, random: Random) {
    this.#signedIn = signedIn;
    this.#server = server;
    this.#random = random;
  }

  async round(round: number): Promise<void> {
    await this.#signedIn.expire();
    const begins = Array.from({ length: PROCESSES }, () => Promise.withResolvers<void>());
    const outcomes = Promise.all(begins.map(({ resolve }) => this.#refresh(resolve)));
    await Promise.race(begins.map(({ promise }) => promise));
    await this.#wait(this.#random.int(0, LONGEST_MICROSECONDS) / 1000);
    await this.#server.kill();
    await this.#wait(this.#random.int(0, LONGEST_OUTAGE_MS));
    await this.#server.restart();
    await this.#verify(round, await outcomes);
  }

  result(count: number): TortureResult {
    const troubles = [...this.#troubles].map(([code, times]) => `${code} ${times}×`);
    return {
      name: `a server killed at a random moment in each of ${count} refreshes`,
      figures: {
        "refreshes": this.#refreshes,
        "tokens acknowledged": this.#acknowledged,
        "of them lost": this.#lost,
        "grant alive": this.#isAlive ? "yes" : "no",
        "errors on the way": troubles.join(", ") || "none",
      },
      failures: this.#failures,
    };
  }

  async #verify(round: number, outcomes: Outcome[]): Promise<void> {
    const stored = await this.#signedIn.token();
    const expected = await sha256Hex(stored);
    for (const { token, error, troubles } of outcomes) {
      for (const code of troubles) this.#troubles.set(code, (this.#troubles.get(code) ?? 0) + 1);
      if (error !== undefined) this.#failures.push(`round ${round}: ${error}`);
      if (token === undefined) continue;
      this.#acknowledged++;
      if (token === expected) continue;
      this.#lost++;
      this.#failures.push(`round ${round}: a token is not the one that is stored`);
    }
    const { refreshes, isActive } = await this.#signedIn.provider.ask(stored);
    this.#refreshes += refreshes;
    this.#isAlive &&= isActive;
    if (!isActive) this.#failures.push(`round ${round}: the grant is dead`);
  }

  async #refresh(begins: () => void): Promise<Outcome> {
    const { provider: { issuer, clientId }, env } = this.#signedIn;
    const child = spawnModule("refresh_child.ts", [issuer, clientId], { env });
    const complaint = new Response(child.stderr).text();
    let outcome: Outcome | undefined;
    for await (const line of linesOf(child.stdout)) {
      if (line === "begins") begins();
      else outcome = JSON.parse(line);
    }
    begins(); // where it failed before
    await child.status;
    return outcome ?? { troubles: [], error: (await complaint).slice(-600) };
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }
}
