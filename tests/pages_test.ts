import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { GENERATED_PARTS } from "./pages/generated_parts.ts";
import { partOf, unpadded } from "./pages/generated_part.ts";

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
    for (const make of parts) {
      const part = await make();
      assertEquals(unpadded(partOf(text, part)), unpadded(part.text), "run: deno task readme");
    }
  });
}

Deno.test("the pictures of the pages are there, and small", async () => {
  for (const page of PAGES) {
    for (const [, path] of (await prose(page)).matchAll(/!\[[^\]]*\]\(([^)]+)\)/g)) {
      const { size } = await Deno.stat(new URL(path!, new URL(page, ROOT)));
      assert(size > 0 && size < 64_000, `${path} has ${size} bytes`);
    }
  }
});

for (const page of PAGES) {
  Deno.test(`the links of ${page} lead somewhere`, async () => {
    const links = (await prose(page)).matchAll(/\]\((?!https?:)([^)]+)\)/g);
    for (const [, link] of links) {
      // JSR leads a link to the repository only if it begins without a slash.
      assert(!link!.startsWith("/"), link);
      const url = new URL(link!, new URL(page, ROOT));
      const anchor = url.hash.slice(1);
      url.hash = "";
      const path = fromFileUrl(url);
      assert((await Deno.stat(path)).isFile, link);
      if (anchor === "") continue;
      assert(anchorsOf(await Deno.readTextFile(path)).has(anchor), `${link} is no heading`);
    }
  });
}

Deno.test("no page has the marks of an unfinished merge", async () => {
  for (const page of PAGES) {
    assert(!/^(<{7}|={7}|>{7})( |$)/m.test(await read(page)), page);
  }
});

/** The text of a page outside of code. */
async function prose(page: string): Promise<string> {
  return withoutFences(await read(page));
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
