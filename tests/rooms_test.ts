import { assert, assertEquals } from "@std/assert";
import { droppedPromises } from "./support/dropped_promises.ts";
import {
  type Arrow,
  lazyImports,
  openLoops,
  readArrows,
  readSource,
  roomOf,
  sourceFiles,
  tokens,
} from "./support/rooms.ts";

Deno.test("rooms: every file is in one", async () => {
  assertEquals((await sourceFiles()).filter((file) => roomOf(file) === -1), []);
});

Deno.test("rooms: a file outside the folders is public, and one inside is not", async () => {
  const config = JSON.parse(await readSource("deno.json"));
  const exported = Object.values<string>(config.exports).map((path) => path.slice("./".length));
  const named = [...(await readSource("mod.ts")).matchAll(/ from "\.\/(.+)";/g)]
    .map(([, path]) => path!);
  const isPublic = (file: string) => exported.includes(file) || named.includes(file);
  const files = await sourceFiles();
  const isInFolder = (file: string) => file.split("/").length > 2;
  assertEquals(files.filter((file) => !isInFolder(file) && !isPublic(file)), []);
  assertEquals(files.filter((file) => isInFolder(file) && isPublic(file)), []);
});

Deno.test("rooms: imports go one way, and no files import each other in a circle", async () => {
  const arrows = await readArrows();
  assertEquals(arrows.filter(({ from, to }) => roomOf(to) > roomOf(from)).map(show), []);
  assertEquals(circles(arrows), []);
});

/** The most that the product may have. A feature that needs more raises the number in its commit. */
const TOTALS = { tokens: 136_620, files: 153, lazy: 40 };

Deno.test("rooms: the product is no larger than its totals", async () => {
  const sources = await Promise.all((await sourceFiles()).map(readSource));
  const sum = (count: (source: string) => number) =>
    sources.reduce((total, source) => total + count(source), 0);
  const found = { tokens: sum(tokens), files: sources.length, lazy: sum(lazyImports) };
  for (const name of ["tokens", "files", "lazy"] as const) {
    assert(found[name] <= TOTALS[name], `${name}: ${found[name]}, of at most ${TOTALS[name]}`);
  }
});

/** The loops beside that of `repeat()`, by file, with what ends each. */
const OPEN_LOOPS: Record<string, string> = {
  "backends/common/http_answer.ts": "the end of a body, or its most bytes",
  "backends/common/read_private_file.ts": "tries, and a pause that does not await",
  "backends/common/repeat.ts": "its limits",
  "backends/file/store.ts": "tries: the last one writes in any case",
  "backends/keychain.ts": "the last piece of an entry",
  "backends/testing/several_processes.ts": "the number of changes",
  "client/api/transport.ts": "the most redirects",
  "client/sign_in/browser.ts": "the time of a sign-in, with a pause",
  "client/sign_in/connection.ts": "the end of a request, or of the sign-in: it takes what comes",
  "client/sign_in/device.ts": "the end of the code, with the provider's pauses",
};

Deno.test("rooms: what is tried again goes through repeat(), or its end is known", async () => {
  const files = await sourceFiles();
  const sources = await Promise.all(files.map(readSource));
  assertEquals(
    files.filter((_, at) => openLoops(sources[at]!) > 0),
    Object.keys(OPEN_LOOPS).sort(),
  );
});

Deno.test("rooms: a loop with a deadline of its own is found", () => {
  const own = "async () => { for (let n = 0; now() < end; n++) { await ask(); await delay(9); } }";
  const loops = [own, "do { try { go(); } catch {} } while (left)", "while (true) await ask();"];
  const others = ["for (const one of all) await ask(one);", "while (n > 0) n--;"];
  assertEquals([...loops, ...others].map(openLoops), [1, 1, 1, 0, 0]);
});

Deno.test("rooms: every promise is awaited, kept, or marked by void", async () => {
  const dropped = ["one();", "one().catch(one);", "if (await one()) return one();"];
  const example = `async function one(): Promise<unknown> { try { ${dropped.join(" ")}
    void one(); const kept = one(); return kept; } finally { await one(); } }`;
  const add = (file: string, source: string) => file === "mod.ts" ? source + example : source;
  assertEquals(await droppedPromises(add), [
    "mod.ts: one();",
    "mod.ts: one().catch(one);",
    "mod.ts: return one();",
    "mod.ts: return kept;",
  ]);
});

function show({ from, to }: Arrow): string {
  return `${from} -> ${to}`;
}

/** The imports that are left once those of files that nothing leads on from are taken away. */
function circles(arrows: readonly Arrow[]): string[] {
  const from = new Set(arrows.map((arrow) => arrow.from));
  const left = arrows.filter(({ to }) => from.has(to));
  return left.length === arrows.length ? left.map(show) : circles(left);
}
