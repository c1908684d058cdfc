// Measures a start's two gets from a backend that the environment names, without isolation, in a
// Worker and in a process, by turns. `--rounds N` sets the number of rounds (default 30).
import { IsolatedBackend } from "../../backends/load/isolated_backend.ts";
import { importBackend } from "../../backends/load/import_backend.ts";

const MODULE = `export class Store {
  get() { return { issuer: "i", client_id: "c", access_token: "t".repeat(1000) }; }
  put() {}
  delete() {}
}`;

const rounds = Number(Deno.args[Deno.args.indexOf("--rounds") + 1]) || 30;
const folder = await Deno.makeTempDir();
const specifier = `${folder}/store.js`;
await Deno.writeTextFile(specifier, MODULE);
const named = {
  specifier,
  exportName: "Store",
  options: {},
  origin: { name: "NAME", options: "KWARGS" },
};

const forms = {
  none: () => importBackend(specifier, "Store", {}, named.origin),
  worker: () => IsolatedBackend.load(named, { as: "worker", read: [specifier] }),
  process: () => IsolatedBackend.load(named, { as: "process", read: [specifier] }),
};
const times: Record<string, number[]> = {};

async function timed(name: string, run: () => unknown): Promise<void> {
  const start = performance.now();
  await run();
  (times[name] ??= []).push(performance.now() - start);
}

for (let round = 0; round < rounds; round++) {
  for (const [form, load] of Object.entries(forms)) {
    let backend: Awaited<ReturnType<typeof load>>;
    await timed(`${form}: load and first get`, async () => {
      backend = await load();
      await backend.get("k");
    });
    await timed(`${form}: later get`, () => backend.get("k"));
    await backend!.close?.();
  }
}
for (const [name, all] of Object.entries(times)) {
  const sorted = all.toSorted((a, b) => a - b);
  const at = (part: number) => sorted[Math.floor(part * (sorted.length - 1))]!.toFixed(2);
  // deno-lint-ignore no-console
  console.log(`${name.padEnd(30)} median ${at(0.5)} ms, quartiles ${at(0.25)} to ${at(0.75)} ms`);
}
await Deno.remove(folder, { recursive: true });
