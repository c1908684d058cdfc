import { createSession, loadBackendFromEnv } from "@validmind/auth";
import { hashOf } from "../../../backends/common/bytes.ts";
import type { Attempt, AttemptOptions } from "./attempt.ts";
import { stoppingAt } from "./stop_point.ts";

// Starts once from what is stored, and says the token's hash, or the error.
const { stopAt, ...identity } = JSON.parse(Deno.args[0]!) as AttemptOptions;
let attempt: Attempt;
try {
  const hooks = stopAt && stoppingAt(stopAt, (await loadBackendFromEnv())!);
  const session = await createSession({ ...identity, interactive: false, ...hooks });
  attempt = { codes: [], token: await hashOf(await session.accessToken()) };
} catch (error) {
  attempt = { codes: codesOf(error), message: String(error) };
}
Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(attempt)));
Deno.exit(); // an operation of Deno KV that was given up would keep the process

/** The code of an error, and of its causes. */
function codesOf(error: unknown): string[] {
  const codes: string[] = [];
  for (; error instanceof Error; error = error.cause) {
    const { code } = error as { code?: unknown };
    if (typeof code === "string" && /^[a-z]/.test(code)) codes.push(code); // no code of the system
  }
  return codes;
}
