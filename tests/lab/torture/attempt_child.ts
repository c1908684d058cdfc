// Starts once from what is stored, and says the token's hash, or the error.
import { createSession, loadBackendFromEnv } from "@validmind/auth";
import type { AttemptOptions } from "./attempt.ts";
import { StopPoint } from "./stop_point.ts";

const { stopAt, ...identity } = JSON.parse(Deno.args[0]!) as AttemptOptions;
try {
  const session = await createSession({ ...identity, interactive: false, ...await hooks() });
  const token = new TextEncoder().encode(await session.accessToken());
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", token));
  say({ token: digest.toHex() });
} catch (error) {
  say({ codes: codesOf(error), message: String(error) });
}
Deno.exit(); // an operation of Deno KV that was given up would keep the process

async function hooks() {
  if (stopAt === undefined) return {};
  const point = new StopPoint(stopAt);
  return { credentialsBackend: point.wrap((await loadBackendFromEnv())!), fetch: point.fetch };
}

/** The code of an error, and of its causes. */
function codesOf(error: unknown): string[] {
  const codes: string[] = [];
  for (; error instanceof Error; error = error.cause) {
    const { code } = error as { code?: unknown };
    if (typeof code === "string" && /^[a-z]/.test(code)) codes.push(code); // no code of the system
  }
  return codes;
}

function say(attempt: object): void {
  Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(attempt)));
}
