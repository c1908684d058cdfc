import type { OidcCredentialsBackend } from "@validmind/auth";
import { type BenchRow, toRows } from "./bench_section.ts";
import { benchEntry, KEY } from "./bench_world.ts";
import { measureCalls, type TimedCall } from "./measure_calls.ts";
import type { RawStore } from "./raw_stores.ts";

/** A backend beside its bare store, with one entry of 3 KB. */
export async function compareBackend(
  raw: RawStore,
  backend: OidcCredentialsBackend,
  effort: number,
  bars: { get?: number; put?: number },
): Promise<BenchRow[]> {
  const entry = benchEntry();
  const own: Omit<RawStore, "name"> = {
    get: () => backend.get(KEY),
    put: () => backend.put(KEY, entry),
    delete: () => backend.delete(KEY),
  };
  const rows: BenchRow[] = [];
  for (const verb of ["put", "get", "delete"] as const) {
    const [base, name] = [`${raw.name}, ${verb}`, `${backend.constructor.name}, ${verb}`];
    const calls: TimedCall[] = [{ name: base, run: raw[verb] }, { name, run: own[verb] }];
    if (verb === "delete") {
      // Of something that is there: what puts it back counts on both sides.
      calls[0]!.run = async () => (await raw.put(), await raw.delete());
      calls[1]!.run = async () => (await own.put(), await own.delete());
    }
    const measured = await measureCalls(calls, timing(raw, effort));
    const bar = verb === "delete" ? undefined : bars[verb];
    rows.push(...toRows(measured, base, bar === undefined ? {} : { [name]: bar }));
    await raw.put();
    await own.put();
  }
  return rows;
}

/**
 * One call by turns, where a call is long enough to be timed alone: a disk is slow for some hundred
 * calls and fast for the next, and a batch of the one and a batch of the other would tell of that.
 */
function timing(raw: RawStore, effort: number): { batches: number; perBatch: number } {
  const isShort = raw.name.startsWith("Map");
  return { batches: Math.ceil((isShort ? 40 : 1000) * effort), perBatch: isShort ? 5000 : 1 };
}
