import { assert, assertEquals } from "@std/assert";
import { loadedModules } from "./bench/loaded_modules.ts";
import { unpadded } from "./support/generated_part.ts";
import {
  type Arrow,
  lazyEdges,
  lazyTable,
  readArrows,
  readSource,
  roomOf,
  sourceFiles,
  withoutComments,
  writtenLazyTable,
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

Deno.test("rooms: what loads a module later is one constant, with the reason", async () => {
  for (const file of await sourceFiles()) {
    const source = await readSource(file);
    const literals = [...withoutComments(source).matchAll(/(?<!typeof )\bimport\(\s*"/g)];
    const edges = lazyEdges(file, source);
    assertEquals(literals.length, edges.length, `${file} has an import() of another shape`);
    for (const { to, reason } of edges) assert(reason.endsWith("."), `${file} loads ${to}`);
  }
});

Deno.test("rooms: CONTRIBUTING has the table of what loads later", async () => {
  assertEquals(unpadded(await writtenLazyTable()), unpadded(await lazyTable()), "deno task readme");
});

Deno.test("rooms: a start from a stored token runs and reads this many modules", async () => {
  const { run, read } = await loadedModules("cached_start.ts");
  assert(run.own.length <= 17, `${run.own.length} modules run: ${run.own.join(" ")}`);
  assert(read.own.length <= 112, `${read.own.length} modules are read`);
});

Deno.test("rooms: a refresh runs this many modules, and none that words an error", async () => {
  const { run } = await loadedModules("cached_start.ts", [
    "client/tokens/renewal.ts",
    "client/provider/oidc_provider.ts",
    "client/provider/refresh_grant.ts",
    "backends/file/store.ts",
  ]);
  assert(run.own.length <= 40, `${run.own.length} modules run: ${run.own.join(" ")}`);
  const words = ["error", "fault", "login_required", "describe_backend", "redact", "needs"];
  assertEquals(run.own.filter((path) => words.some((name) => path.endsWith(`/${name}.ts`))), []);
});

function show({ from, to }: Arrow): string {
  return `${from} -> ${to}`;
}

/** The groups of files that reach each other by imports, by Tarjan's algorithm. */
function circles(arrows: readonly Arrow[]): string[][] {
  const next = Map.groupBy(arrows, ({ from }) => from);
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const found: string[][] = [];
  const visit = (file: string) => {
    index.set(file, index.size);
    low.set(file, index.get(file)!);
    stack.push(file);
    for (const { to } of next.get(file) ?? []) {
      if (!index.has(to)) visit(to);
      if (stack.includes(to)) low.set(file, Math.min(low.get(file)!, low.get(to)!));
    }
    if (low.get(file) !== index.get(file)) return;
    const group = stack.splice(stack.indexOf(file));
    if (group.length > 1) found.push(group.sort());
  };
  for (const { from } of arrows) if (!index.has(from)) visit(from);
  return found;
}
