// Uses the credentials file beside a Python process: `put COUNT SEED` writes to a key of its own and
// says how many writes were lost; `session ISSUER CLIENT COUNT SEED` refreshes what is stored.
import { createSession, CredentialsBackendError, FileCredentialsBackend } from "@validmind/auth";
import { loadBackendFromEnv } from "@validmind/auth";
import type { BesideResult } from "./beside_python.ts";
import { numberedEntry } from "./entries.ts";
import { Random } from "./random.ts";

const KEY = "https://login.example.com|deno";
const LONGEST_PAUSE_MS = 8;
/** A backend that has noticed a loss has this time to put the entry back. */
const SETTLE_MS = 100;

const [mode, ...args] = Deno.args;
const random = new Random(Number(args.at(-1)));
if (mode === "put") say(await put(Number(args[0])));
else await refresh(args[0]!, args[1]!, Number(args[2]));
Deno.exit();

async function put(count: number): Promise<BesideResult> {
  const result = { written: 0, lost: 0, unnoticed: 0 };
  let warnings = 0;
  const { path } = await loadBackendFromEnv() as FileCredentialsBackend;
  const backend = new FileCredentialsBackend({ path, onWarning: () => warnings++ });
  for (let n = 1; n <= count; n++) {
    const before = warnings;
    try {
      await backend.put(KEY, numberedEntry(n));
    } catch (error) {
      if (!(error instanceof CredentialsBackendError)) throw error;
      continue; // not acknowledged
    }
    result.written++;
    await pause(random.int(0, LONGEST_PAUSE_MS));
    if (isIn(path, n)) continue;
    result.lost++;
    const isNoticed = backend.get(KEY)?.n === n; // the next call
    await pause(SETTLE_MS);
    if (!isNoticed || (!isIn(path, n) && warnings === before)) result.unnoticed++;
  }
  return result;
}

/** Looks into the file itself. */
function isIn(path: string, n: number): boolean {
  return JSON.parse(Deno.readTextFileSync(path)).credentials[KEY]?.n === n;
}

/** One session refreshes again and again, and once more when the other program has ended. */
async function refresh(issuer: string, clientId: string, count: number): Promise<void> {
  const session = await createSession({ issuer, clientId, interactive: false });
  const codes: string[] = [];
  const refresh = () =>
    session.accessToken({ forceRefresh: true }).catch((error) => void codes.push(error.code));
  for (let n = 0; n < count; n++) {
    await refresh();
    await pause(random.int(0, LONGEST_PAUSE_MS));
  }
  say("refreshed");
  await Deno.stdin.read(new Uint8Array(1));
  await refresh();
  say({ codes });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function say(value: unknown): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(value)}\n`));
}
