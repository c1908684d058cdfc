import { sha256Hex } from "../../support/sha256_hex.ts";
import { type Attempt, attempt, AttemptProcess, describeAttempt } from "./attempt.ts";
import { SignedIn } from "./signed_in.ts";
import { untilStopped } from "./stop_refresh.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";
import { mountTmpfs, WRITE_REFUSALS, type WriteRefusal } from "./write_refusal.ts";

/**
 * Starts processes while a store in a folder refuses writes: one with a valid token, which must get it,
 * and one with an expired token, which may fail. The refusal begins before the refresh, or between the
 * provider's answer and the write. Once the store takes writes again, a start must get a token that the
 * provider accepts, without a person.
 */
export async function refuseWrites(options: TortureOptions): Promise<TortureResult> {
  const result: TortureResult = { figures: {}, failures: [] };
  for (const refusal of WRITE_REFUSALS) {
    for (const isLate of refusal.isOnlyEarly ? [false] : [false, true]) {
      const name = `${refusal.name}${isLate ? " after the answer" : ""}`;
      const folder = `${options.folder}/${name.replaceAll(" ", "-")}`;
      const failures = await refuse(refusal, isLate, { ...options, folder });
      result.figures[name] = failures === undefined ? "left out" : failures.length;
      result.failures.push(...(failures ?? []).map((failure) => `${name}: ${failure}`));
    }
  }
  return result;
}

/** What broke; `undefined` where the refusal cannot be had here. */
async function refuse(
  refusal: WriteRefusal,
  isLate: boolean,
  { count, folder, startStore }: TortureOptions,
): Promise<string[] | undefined> {
  if (refusal.whyNot !== undefined) return undefined;
  await Deno.mkdir(folder, { mode: 0o700 });
  await using mounted = refusal.tmpfs ? await mountTmpfs(folder, refusal.tmpfs) : undefined;
  if (refusal.tmpfs !== undefined && mounted === undefined) return undefined;
  await using store = await startStore(folder);
  return await SignedIn.run(store, async (signedIn) => {
    const run = new RefusalRun(signedIn, refusal, folder);
    for (let round = 0; round < count; round++) await run.round(isLate);
    await signedIn.release();
    return run.failures;
  });
}

class RefusalRun {
  readonly failures: string[] = [];

  constructor(
    readonly signedIn: SignedIn,
    readonly refusal: WriteRefusal,
    readonly folder: string,
  ) {}

  async round(isLate: boolean): Promise<void> {
    const stored = await sha256Hex(await this.signedIn.token());
    const read = await this.#whileRefused(() => attempt(this.signedIn, this.refusal.prefix));
    if (read.token !== stored) this.#mustBeNamed("read", read);
    await this.signedIn.expire();
    const refreshed = await (isLate ? this.#refusedLate() : this.#refusedEarly());
    if (refreshed.token === undefined) this.#mustBeNamed("refresh", refreshed);
    await this.signedIn.release();
    const after = await attempt(this.signedIn);
    const { isActive } = await this.signedIn.provider.ask(await this.signedIn.token());
    if (after.token !== undefined && isActive) return;
    this.failures.push(`the sign-in is lost: ${describeAttempt(after)}`);
    await this.signedIn.signIn();
  }

  /** Where a store cannot even be opened, the error has to name the cause. */
  #mustBeNamed(action: string, found: Attempt): void {
    if (this.refusal.codes.some((code) => found.codes.includes(code))) return;
    this.failures.push(`${action}: ${describeAttempt(found)}, not ${this.refusal.codes[0]}`);
  }

  #refusedEarly(): Promise<Attempt> {
    return this.#whileRefused(() => attempt(this.signedIn, this.refusal.prefix));
  }

  async #refusedLate(): Promise<Attempt> {
    await this.signedIn.release();
    const process = new AttemptProcess(this.signedIn, "before the put", this.refusal.prefix);
    const result = process.result();
    await Promise.race([untilStopped(process.pid), result]);
    return await this.#whileRefused(() => {
      Deno.kill(process.pid, "SIGCONT");
      return result;
    });
  }

  async #whileRefused(run: () => Promise<Attempt>): Promise<Attempt> {
    await this.signedIn.release();
    this.refusal.begin(this.folder);
    try {
      return await run();
    } finally {
      this.refusal.end(this.folder);
    }
  }
}
