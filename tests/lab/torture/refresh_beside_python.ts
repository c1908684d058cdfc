import { fromFileUrl } from "@std/path";
import { runProcess } from "../../support/deno_process.ts";
import { serverBinary } from "../../support/servers/servers.ts";
import { attempt, describeAttempt } from "./attempt.ts";
import { Random } from "./random.ts";
import { SignedIn } from "./signed_in.ts";
import { chosen } from "./store.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

const PYTHON_CHILD = fromFileUrl(new URL("./python_child.py", import.meta.url));
/** The times of a round. */
interface Times {
  /** How much later either of the two starts, at the most. @default {2_000} */
  longestOffsetMs?: number;
  /** How long the provider holds its answer back. @default {0} */
  answerMs?: number;
}

/**
 * Lets a start of this module and one of the Python library refresh one expired token, at random times
 * of each other. The provider ends the whole grant where it sees a refresh token twice. The library
 * takes no lock, so that this costs sign-ins; what this module must not do is told by the failures.
 */
export async function refreshBesidePython(
  options: TortureOptions,
  { longestOffsetMs = 2_000, answerMs = 0 }: Times = {},
): Promise<TortureResult> {
  const { count, seed, folder } = options;
  const python = await serverBinary("validmind-library");
  const random = new Random(seed);
  const answers: Record<string, number> = {};
  const failures: string[] = [];
  let died = 0;
  const path = `${folder}/.validmind/credentials.json`;
  const store = { env: { HOME: folder, ...chosen("file", { path }) } };
  await SignedIn.run(store, async (signedIn) => {
    const { issuer, clientId } = signedIn.provider;
    const command = [python, PYTHON_CHILD, "refresh", issuer, clientId];
    for (let round = 0; round < count; round++) {
      await signedIn.expire();
      const offset = random.int(-longestOffsetMs, longestOffsetMs);
      const [ours, theirs] = await Promise.all([
        after(-offset, () => attempt(signedIn)),
        after(offset, () => runProcess(command, { env: { HOME: folder } })),
      ]);
      const library = JSON.parse(theirs.stdout || "{}").token === undefined ? "refused" : "token";
      const answer = `this module: ${describeAttempt(ours)}, the library: ${library}`;
      answers[answer] = (answers[answer] ?? 0) + 1;
      const token = await signedIn.token().catch(() => undefined);
      if (token !== undefined && (await signedIn.provider.ask(token)).isActive) continue;
      died++;
      if (library === "token" && token === undefined) {
        failures.push(`round ${round}: the row that the library stored is gone`);
      }
      await signedIn.signIn();
    }
  }, { refreshDelayMs: answerMs });
  return { figures: { "grants that died": died, ...answers }, failures };
}

async function after<T>(ms: number, fn: () => Promise<T>): Promise<T> {
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
  return await fn();
}
