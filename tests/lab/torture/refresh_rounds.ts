import { ALL, startDeno } from "../../support/deno_process.ts";
import { sha256Hex } from "../../support/sha256_hex.ts";
import type { SignedIn } from "./signed_in.ts";
import type { TortureResult } from "./torture_result.ts";

const CHILD = new URL("refresh_child.ts", import.meta.url).href;

interface Outcome {
  /** The hash of the token that a process has. */
  token?: string;
  /** The codes of the errors that it got before. */
  troubles: string[];
  error?: string;
}

/**
 * Rounds of processes that refresh one expired token while their store is disturbed. Each tries again
 * until it has a token. That token must then be the one that is stored, and the provider, which
 * rotates refresh tokens and detects reuse, must still take it.
 */
export class RefreshRounds {
  readonly #signedIn: SignedIn;
  readonly #processes: number;
  readonly #failures: string[] = [];
  readonly #troubles = new Map<string, number>();
  #rounds = 0;
  #refreshes = 0;
  #acknowledged = 0;
  #lost = 0;
  #dead = 0;

  /** @param processes How many refresh at once. */
  constructor(signedIn: SignedIn, processes: number) {
    this.#signedIn = signedIn;
    this.#processes = processes;
  }

  /**
   * @param disturb Runs from the time at which the first process begins, and has to end with the
   * store as it was. It is given a promise of the end of all processes.
   */
  async play(disturb: (ended: Promise<unknown>) => Promise<void>): Promise<void> {
    await this.#signedIn.expire();
    const begins = Array.from({ length: this.#processes }, () => Promise.withResolvers<void>());
    const outcomes = Promise.all(begins.map(({ resolve }) => this.#refresh(resolve)));
    await Promise.race(begins.map(({ promise }) => promise));
    await disturb(outcomes);
    await this.#verify(await outcomes);
    this.#rounds++;
  }

  result(): Omit<TortureResult, "name"> {
    const troubles = [...this.#troubles].map(([code, times]) => `${code} ${times}×`);
    return {
      figures: {
        "refreshes": this.#refreshes,
        "tokens acknowledged": this.#acknowledged,
        "of them lost": this.#lost,
        "dead grants": this.#dead,
        "errors on the way": troubles.join(", ") || "none",
      },
      failures: this.#failures,
    };
  }

  async #verify(outcomes: Outcome[]): Promise<void> {
    const stored = await this.#signedIn.findToken();
    const expected = stored && await sha256Hex(stored);
    for (const { token, error, troubles } of outcomes) {
      for (const code of troubles) this.#troubles.set(code, (this.#troubles.get(code) ?? 0) + 1);
      if (error !== undefined) this.#fail(error);
      if (token === undefined) continue;
      this.#acknowledged++;
      if (token === expected) continue;
      this.#lost++;
      this.#fail("a token is not the one that is stored");
    }
    const { refreshes, isActive } = await this.#signedIn.provider.ask(stored ?? "none");
    this.#refreshes += refreshes;
    if (isActive) return;
    this.#dead++;
    this.#fail("the grant is dead");
    await this.#signedIn.signIn();
  }

  #fail(reason: string): void {
    this.#failures.push(`round ${this.#rounds}: ${reason}`);
  }

  async #refresh(begins: () => void): Promise<Outcome> {
    const { provider: { issuer, clientId }, env } = this.#signedIn;
    await using child = startDeno({ file: CHILD, flags: ALL, args: [issuer, clientId], env });
    let outcome: Outcome | undefined;
    for await (const line of child.lines()) {
      if (line === "begins") begins();
      else outcome = JSON.parse(line);
    }
    begins(); // where it failed before
    const { stderr } = await child.end();
    return outcome ?? { troubles: [], error: stderr.slice(0, 600) };
  }
}
