// Makes random calls to one key of the store that the environment names, each with its times.
import { loadBackendFromEnv } from "@validmind/auth";
import { numberedEntry } from "./entries.ts";
import type { HistoryChildOptions } from "./check_history.ts";
import type { Operation } from "./linearizability.ts";
import { openMonotonicClock } from "./monotonic_clock.ts";
import { Random } from "./random.ts";

const { process, key, calls, seed } = JSON.parse(Deno.args[0]!) as HistoryChildOptions;
const now = openMonotonicClock();
const backend = (await loadBackendFromEnv())!;
const random = new Random(seed + process);
const troubles: Record<string, number> = {};
const history: Operation[] = [];

await backend.get(`${key}|warm-up`);
say("ready");
await Deno.stdin.read(new Uint8Array(1)); // all processes begin at once
for (let n = 1; n <= calls; n++) {
  const operation = await call(calls * process + n);
  if (operation !== undefined) history.push(operation);
}
say(JSON.stringify({ history, troubles }));
Deno.exit();

/** One call; `undefined` for a get that failed, which says nothing. */
async function call(n: number): Promise<Operation | undefined> {
  const kind = (["put", "put", "get", "get", "get", "delete"] as const)[random.int(0, 5)]!;
  const value = kind === "put" ? n : undefined;
  const calledAt = now();
  try {
    if (kind === "put") await backend.put(key, numberedEntry(n));
    if (kind === "delete") await backend.delete(key);
    const read = kind === "get" ? (await backend.get(key))?.n as number | undefined : undefined;
    return { process, kind, value: value ?? read, calledAt, returnedAt: now() };
  } catch (error) {
    const code = String((error as { code?: unknown }).code);
    troubles[code] = (troubles[code] ?? 0) + 1;
    return kind === "get" ? undefined : { process, kind, value, calledAt, returnedAt: Infinity };
  }
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
