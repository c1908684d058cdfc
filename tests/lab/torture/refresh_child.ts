// Refreshes what is stored, and says the token's hash once it has one. Whatever the store does
// meanwhile, it tries again, as a notebook does whose cell is run again.
import { createSession, CredentialsBackendError } from "@validmind/auth";

const PAUSE_MS = 50;
const [issuer, clientId] = Deno.args as [string, string];
const troubles: string[] = [];
say("begins\n");
try {
  const session = await persist(() => createSession({ issuer, clientId, interactive: false }));
  const token = new TextEncoder().encode(await persist(() => session.accessToken()));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", token));
  say(`${JSON.stringify({ token: digest.toHex(), troubles })}\n`);
} catch (error) {
  say(`${JSON.stringify({ error: String(error).slice(0, 300), troubles })}\n`);
}
Deno.exit(); // an operation of Deno KV that was given up would keep the process

async function persist<T>(fn: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await fn();
    } catch (error) {
      if (!isOfTheStore(error)) throw error;
      troubles.push(String((error as { code?: string }).code));
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

/** Its own error, or the client's that tells of a write that failed. */
function isOfTheStore(error: unknown): boolean {
  return error instanceof CredentialsBackendError ||
    (error instanceof Error && error.cause instanceof CredentialsBackendError);
}

function say(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(text));
}
