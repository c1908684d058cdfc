import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { GENERATED_PARTS } from "./pages/generated_parts.ts";
import { partOf, unpadded } from "./pages/generated_part.ts";
import { startJsrRegistry } from "./support/jsr_registry.ts";

const ROOT = new URL("../", import.meta.url);
const FOLDERS = ["", "backends/", "client/", ".github/"];
const PAGES = FOLDERS.flatMap((folder) =>
  [...Deno.readDirSync(new URL(`../${folder}`, import.meta.url))]
    .filter(({ name }) => /^[A-Za-z_]+\.md$/.test(name) && !/pull_request/i.test(name))
    .map(({ name }) => folder + name)
);

const read = (path: string) => Deno.readTextFile(new URL(path, ROOT));

/** Their parts name paths and variables: those of this system, and on the pages those of POSIX. */
const PAGES_OF_POSIX = ["README.md", "client/options.md", "client/command_line.md"];

for (const [page, parts] of Object.entries(GENERATED_PARTS)) {
  const ignore = Deno.build.os === "windows" && PAGES_OF_POSIX.includes(page);
  Deno.test(`the generated parts of ${page} are what the code declares`, { ignore }, async () => {
    const text = await read(page);
    for (const [name, make] of Object.entries(parts)) {
      assertEquals(unpadded(partOf(text, name)), unpadded(await make()), "run: deno task readme");
    }
  });
}

for (const page of PAGES) {
  Deno.test(`the links of ${page} lead somewhere, and its pictures are small`, async () => {
    for (const link of linksOf(await prose(page))) {
      if (isElsewhere(link)) continue;
      const url = new URL(link, new URL(page, ROOT));
      const anchor = url.hash.slice(1);
      url.hash = "";
      const path = fromFileUrl(url);
      const { isFile, size } = await Deno.stat(path);
      assert(isFile && (size < 64_000 || !/\.(png|svg)$/.test(path)), `${link} has ${size} bytes`);
      if (anchor === "") continue;
      assert(anchorsOf(await Deno.readTextFile(path)).has(anchor), `${link} is no heading`);
    }
  });
}

/**
 * JSR leads a relative link to the file in the repository that the package is linked to, and else to the
 * file of this version.
 */
Deno.test("what the published texts link to is published", async () => {
  await using registry = await startJsrRegistry();
  const get = (path: string) => fetch(`${registry.url}/@validmind/auth/${path}`);
  const { latest } = await (await get("meta.json")).json();
  const { manifest, exports } = await (await get(`${latest}_meta.json`)).json();
  for (const path of Object.keys(manifest).filter((path) => /\.(md|ts)$/.test(path))) {
    const text = await (await get(latest + path)).text();
    const words = path.endsWith(".md") ? withoutFences(text) : moduleTextOf(text);
    for (const link of linksOf(words)) {
      const [, entry] = /^https:\/\/jsr\.io\/@validmind\/auth\/doc(.*)$/.exec(link) ?? [];
      if (entry !== undefined) assert(`.${entry}` in exports, `${path}: ${link}`);
      if (isElsewhere(link) || link.startsWith("#")) continue;
      assert(new URL(link, `file://${path}`).pathname in manifest, `${path}: ${link}`);
    }
  }
});

Deno.test("the tasks that the pages name are there, and the tests that they run", async () => {
  const { tasks } = JSON.parse(await read("deno.json"));
  for (const page of PAGES) {
    for (const [, name, args] of (await prose(page)).matchAll(/`deno task ([\w:]+)([^`]*)`/g)) {
      assert(name! in tasks, `${page}: ${name}`);
      for (const [path] of args!.matchAll(/tests\/[\w/.]+/g)) {
        if (!path.includes("NAME")) await Deno.stat(new URL(path, ROOT));
      }
    }
  }
});

Deno.test("the tests that hold an attack or a claim of the pages are there", async () => {
  const text = await read("tests/lab/README.md");
  const paths = new Set([...text.matchAll(/`((?:\w+\/)*\w+_test\.ts)`/g)].map(([, path]) => path!));
  assert(paths.size > 30);
  for (const path of paths) await Deno.stat(new URL(`tests/${path}`, ROOT));
});

Deno.test("no page has the marks of an unfinished merge", async () => {
  for (const page of PAGES) assert(!/^(<{7}|={7}|>{7})( |$)/m.test(await read(page)), page);
});

/** The text of a page outside of code. */
async function prose(page: string): Promise<string> {
  return withoutFences(await read(page));
}

/** The targets of links and pictures. */
function linksOf(text: string): string[] {
  const found = text.matchAll(/\]\(([^)]+)\)|\bsrc(?:set)?="([^"]+)"/g);
  return [...found].map(([, link, picture]) => (link ?? picture)!);
}

function isElsewhere(link: string): boolean {
  return /^https?:/.test(link);
}

/** What JSR shows of a module before its exports. */
function moduleTextOf(source: string): string {
  const [comment = ""] = /^\/\*\*.*?\*\//s.exec(source) ?? [];
  return comment.includes("@module") ? comment : "";
}

function withoutFences(text: string): string {
  return text.replace(/^```.*?^```$/gms, "");
}

function anchorsOf(text: string): Set<string> {
  const titles = [...withoutFences(text).matchAll(/^#+ (.*)$/gm)].map(([, title]) => title!);
  return new Set(
    titles.map((title) => title.toLowerCase().replaceAll(/[^\w -]/g, "").replaceAll(" ", "-")),
  );
}
