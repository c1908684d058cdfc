import { hashOf } from "../../../backends/common/bytes.ts";
import { attempt, describeAttempt } from "./attempt.ts";
import { SignedIn } from "./signed_in.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

const PROCESSES = 16;

/**
 * Starts many processes at once on one expired token of a provider that rotates refresh tokens and
 * detects reuse: exactly one of them may refresh, and none may fail.
 */
export async function stampede(options: TortureOptions): Promise<TortureResult> {
  await using store = await options.startStore(options.folder);
  const failures: string[] = [];
  await SignedIn.run(store, async (signedIn) => {
    for (let round = 0; round < options.count; round++) {
      await signedIn.expire();
      await signedIn.provider.ask(""); // the refreshes of earlier rounds are not counted
      const ended = await Promise.all(Array.from({ length: PROCESSES }, () => attempt(signedIn)));
      const stored = await signedIn.token();
      const { refreshes, isActive } = await signedIn.provider.ask(stored);
      if (refreshes !== 1) failures.push(`round ${round}: ${refreshes} refreshes`);
      if (!isActive) failures.push(`round ${round}: the grant is dead`);
      const expected = await hashOf(stored);
      const others = ended.filter(({ token }) => token !== expected);
      failures.push(...others.map((one) => `round ${round}: ${describeAttempt(one)}`));
    }
  });
  return { figures: { "starts": PROCESSES * options.count }, failures };
}
