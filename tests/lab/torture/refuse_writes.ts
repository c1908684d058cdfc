import { sha256Hex } from "../../support/sha256_hex.ts";
import { type Attempt, attempt, AttemptProcess, describeAttempt } from "./attempt.ts";
import { untilStopped } from "./pause_refresh.ts";
import { Random } from "./random.ts";
import { SignedIn } from "./signed_in.ts";
import type { StartStore } from "./store.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";
import type { WriteRefusal } from "./write_refusal.ts";

/** Options of {@linkcode refuseWrites}. */
export interface RefuseWritesOptions extends TortureOptions {
  /** A store that keeps its entries in a folder. */
  startStore: StartStore;
  refusal: WriteRefusal;
  /** Begins the refusal only when the provider has answered: a refresh token is spent then. */
  isLate?: boolean;
}

/**
 * Starts processes while a store refuses writes: one with a valid token, which must get it, and one
 * with an expired token, which may fail. Once the store takes writes again, a start must get a token
 * that the provider accepts, without a person. The provider rotates refresh tokens and detects reuse.
 */
export async function refuseWrites(options: RefuseWritesOptions): Promise<TortureResult> {
  const { refusal, count, isLate = false } = options;
  const name = `${count} refreshes, ${refusal.name}${isLate ? " after the answer" : ""}`;
  const leftOut = (why: string) => ({ name, figures: { "left out": why }, failures: [] });
  if (refusal.whyNot !== undefined) return leftOut(refusal.whyNot);
  const folder = `${options.folder}/store`;
  await Deno.mkdir(folder, { mode: 0o700 });
  await using mounted = await refusal.mount?.(folder);
  if (refusal.mount !== undefined && mounted === undefined) {
    return leftOut("its file system cannot be made or mounted here");
  }
  await using store = await options.startStore(folder);
  return await SignedIn.run(store, async (signedIn) => {
    const run = new RefusalRun(signedIn, refusal, folder, new Random(options.seed), isLate);
    for (let round = 0; round < count; round++) await run.round(round);
    await signedIn.release();
    return { name, ...run.result() };
  });
}

class RefusalRun {
  readonly #signedIn: SignedIn;
  readonly #refusal: WriteRefusal;
  readonly #folder: string;
  readonly #random: Random;
  readonly #isLate: boolean;
  readonly #failures: string[] = [];
  /** How the starts with an expired token ended. */
  readonly #answers = new Map<string, number>();
  #unread = 0;
  #spent = 0;
  #dead = 0;

  constructor(
    signedIn: SignedIn,
    refusal: WriteRefusal,
    folder: string,
    random: Random,
    isLate: boolean,
  ) {
    this.#signedIn = signedIn;
    this.#refusal = refusal;
    this.#folder = folder;
    this.#random = random;
    this.#isLate = isLate;
  }

  async round(round: number): Promise<void> {
    await this.#readValid(round);
    await this.#signedIn.expire();
    await this.#refreshRefused(round);
    if (await this.#isAlive(round)) return;
    this.#dead++;
    await this.#signedIn.signIn();
  }

  result(): Omit<TortureResult, "name"> {
    const answers = [...this.#answers].map(([answer, times]) => `${answer} ${times}×`);
    return {
      figures: {
        "answers": answers.join(", "),
        "valid token not read": this.#unread,
        "refresh token spent, none stored": this.#spent,
        "dead grants": this.#dead,
      },
      failures: this.#failures,
    };
  }

  /** Where a store cannot even be opened, the error has to name the cause. */
  async #readValid(round: number): Promise<void> {
    const stored = await sha256Hex(await this.#signedIn.token());
    const found = await this.#whileRefused();
    if (found.token === stored) return;
    this.#unread++;
    this.#checkName(round, "read", found);
  }

  async #refreshRefused(round: number): Promise<void> {
    const before = await this.#signedIn.token();
    await this.#signedIn.provider.ask(before); // earlier refreshes are not counted
    const found = await (this.#isLate ? this.#refusedLate() : this.#whileRefused());
    const answer = describeAttempt(found);
    this.#answers.set(answer, (this.#answers.get(answer) ?? 0) + 1);
    if (found.token === undefined) this.#checkName(round, "refresh", found);
    const after = await this.#signedIn.token();
    const { refreshes } = await this.#signedIn.provider.ask(after);
    if (refreshes > 0 && after === before) this.#spent++;
  }

  #checkName(round: number, action: string, found: Attempt): void {
    const { code, codesOfSqlite = [] } = this.#refusal;
    if ([code, ...codesOfSqlite].some((one) => found.codes.includes(one))) return;
    this.#failures.push(`round ${round}: ${action}: ${describeAttempt(found)} instead of ${code}`);
  }

  async #whileRefused() {
    await this.#signedIn.release();
    this.#refusal.begin(this.#folder, this.#random);
    try {
      return await attempt(this.#signedIn, this.#refusal.prefix);
    } finally {
      this.#refusal.end(this.#folder);
    }
  }

  async #refusedLate(): Promise<Attempt> {
    await this.#signedIn.release();
    const stopAt = "before the put";
    const process = new AttemptProcess(this.#signedIn, { stopAt }, this.#refusal.prefix);
    const result = process.result();
    await Promise.race([untilStopped(process.pid), result]);
    this.#refusal.begin(this.#folder, this.#random);
    try {
      Deno.kill(process.pid, "SIGCONT");
      return await result;
    } finally {
      this.#refusal.end(this.#folder);
    }
  }

  async #isAlive(round: number): Promise<boolean> {
    await this.#signedIn.release();
    const found = await attempt(this.#signedIn);
    if (found.token === undefined) {
      this.#failures.push(`round ${round}: the sign-in is lost: ${describeAttempt(found)}`);
      return false;
    }
    const stored = await this.#signedIn.token();
    const { isActive } = await this.#signedIn.provider.ask(stored);
    if (isActive && found.token === await sha256Hex(stored)) return true;
    this.#failures.push(`round ${round}: ${isActive ? "another token is stored" : "a dead grant"}`);
    return false;
  }
}
