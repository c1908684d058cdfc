import { FileCredentialsBackend } from "@validmind/auth";
import type { BenchOptions, BenchRow, BenchSection } from "../bench_section.ts";
import { benchEntry, KEY } from "../bench_world.ts";
import { measureCalls, type TimedCall } from "../measure_calls.ts";
import { writeSynced } from "../programs/write_synced.ts";

const SIZES = [1, 10, 100, 1000, 10_000];
const LONG_AGO = new Date("2020-01-01");

/** One credential among many in a file: the first get of a process, those that follow, and a put. */
export async function growth({ folder, effort }: BenchOptions): Promise<BenchSection> {
  const rows: BenchRow[] = [];
  for (const size of SIZES) {
    const path = `${folder}/growth-${size}.json`;
    await Deno.writeTextFile(path, JSON.stringify(documentOf(size)), { mode: 0o600 });
    await Deno.utime(path, LONG_AGO, LONG_AGO); // what is young is read again
    rows.push(...await rowsFor(size, path, Math.max(3, Math.ceil(10 * effort))));
  }
  return {
    title: "Growth of a file",
    unit: "µs",
    base: "parse, or serialise and write, alone",
    rows,
  };
}

function documentOf(size: number) {
  const others = Array.from({ length: size - 1 }, (_, index) => [`${KEY}-${index}`, benchEntry()]);
  return { version: 1, credentials: Object.fromEntries([...others, [KEY, benchEntry()]]) };
}

async function rowsFor(size: number, path: string, batches: number): Promise<BenchRow[]> {
  const parsed = documentOf(size);
  const backend = new FileCredentialsBackend({ path });
  const entry = benchEntry();
  const names = {
    parse: `${size}: read and parse`,
    first: `${size}: first get`,
    again: `${size}: get again, file unchanged`,
    serialise: `${size}: serialise and write`,
    put: `${size}: put`,
  };
  const reads: TimedCall[] = [
    { name: names.parse, run: () => JSON.parse(Deno.readTextFileSync(path)) },
    { name: names.first, run: () => new FileCredentialsBackend({ path }).get(KEY) },
    { name: names.again, run: () => backend.get(KEY) },
  ];
  // After the reads, which are of a file that nobody writes.
  const serialise = () => writeSynced(`${path}.raw`, `${JSON.stringify(parsed, null, 2)}\n`);
  const writes: TimedCall[] = [
    { name: names.serialise, run: serialise },
    { name: names.put, run: () => backend.put(KEY, entry) },
  ];
  const measured = new Map([
    ...await measureCalls(reads, { batches, perBatch: size >= 1000 ? 2 : 20 }),
    ...await measureCalls(writes, { batches: batches * (size >= 1000 ? 2 : 10), perBatch: 1 }),
  ]);
  const value = (name: string) => measured.get(name)!.median;
  const row = (name: string, base: string): BenchRow => ({
    name,
    value: value(name),
    quartiles: measured.get(name)!.quartiles,
    ratio: value(name) / value(base),
  });
  return [
    row(names.parse, names.parse),
    row(names.first, names.parse),
    row(names.again, names.first),
    row(names.serialise, names.serialise),
    row(names.put, names.serialise),
  ];
}
