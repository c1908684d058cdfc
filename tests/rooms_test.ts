import { assert, assertEquals } from "@std/assert";
import {
  type Arrow,
  lazyImports,
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
const TOTALS = { tokens: 139_500, files: 151, lazy: 40 };

Deno.test("rooms: the product is no larger than its totals", async () => {
  const sources = await Promise.all((await sourceFiles()).map(readSource));
  const sum = (count: (source: string) => number) =>
    sources.reduce((total, source) => total + count(source), 0);
  const found = { tokens: sum(tokens), files: sources.length, lazy: sum(lazyImports) };
  for (const name of ["tokens", "files", "lazy"] as const) {
    assert(found[name] <= TOTALS[name], `${name}: ${found[name]}, of at most ${TOTALS[name]}`);
  }
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
