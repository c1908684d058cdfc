import { assert, assertEquals } from "@std/assert";
import { walk } from "@std/fs/walk";
import { fromFileUrl } from "@std/path";
import { GENERATED_PARTS } from "./support/generated_parts.ts";
import { partOf, unpadded } from "./support/generated_part.ts";

const ROOT = new URL("../", import.meta.url);
const PAGES = [
  "README.md",
  "backends/README.md",
  "client/README.md",
  ".github/SECURITY.md",
  ".github/RELIABILITY.md",
  ".github/CAPACITY.md",
  ".github/CONTRIBUTING.md",
  ".github/CHANGELOG.md",
  ".github/MESSAGES.md",
];

const read = (path: string) => Deno.readTextFile(new URL(path, ROOT));

Deno.test("README is at most 320 lines", async () => {
  assert((await read("README.md")).split("\n").length <= 320);
});

/** Their parts name paths and variables: those of this system, and on the pages those of POSIX. */
const PAGES_OF_POSIX = ["README.md", "backends/README.md", "client/README.md"];

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

Deno.test("no command and no list of flags has a flag twice, which Deno 2.9.0 and older refuse", async () => {
  for (const page of PAGES) {
    const text = (await read(page)).replaceAll("\\\n", " ");
    for (const part of text.split(/[\n|]/)) {
      const flags = [...part.matchAll(/--allow-(\w+)=/g)].map(([, name]) => name);
      assertEquals(flags.length, new Set(flags).size, `${page}: ${part}`);
    }
  }
});

Deno.test("the pages explain every error code", async () => {
  const codes = {
    "client/errors.ts": "client/README.md",
    "backends/credentials_backend_error.ts": "backends/README.md",
  };
  for (const [source, page] of Object.entries(codes)) {
    const found = [...(await read(source)).matchAll(/^ {2}\| "(\w+)"/gm)].map(([, code]) => code);
    assert(found.length > 10);
    const text = await read(page);
    assertEquals(found.filter((code) => !text.includes(`\`${code}\``)), [], source);
  }
});

Deno.test("client/README.md names every variable that the code reads", async () => {
  const page = await read("client/README.md");
  for (const folder of ["client", "backends"]) {
    for await (const { path } of walk(new URL(folder, ROOT), { exts: [".ts"] })) {
      const source = await Deno.readTextFile(path);
      for (const [variable] of source.matchAll(/\bVM_[A-Z_]+[A-Z]\b/g)) {
        assert(page.includes(variable), `${variable}, in ${path}`);
      }
    }
  }
});

Deno.test("the pictures of the pages are there, and small", async () => {
  for (const page of PAGES) {
    for (const [, path] of (await prose(page)).matchAll(/!\[[^\]]*\]\(([^)]+)\)/g)) {
      const { size } = await Deno.stat(new URL(path!, new URL(page, ROOT)));
      assert(size > 0 && size < 60_000, `${path} has ${size} bytes`);
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

Deno.test("CONTRIBUTING names files that exist, and symbols that are in them", async () => {
  const rows = (await read(".github/CONTRIBUTING.md")).matchAll(
    /^\| `([A-Za-z_]+)`(?: and `([A-Za-z_]+)`)? in `((?:client|backends)\/[a-z_\/]+\.ts)`/gm,
  );
  let count = 0;
  for (const [, ...names] of rows) {
    const source = await read(names.pop()!);
    for (const name of names) if (name) assert(source.includes(name), name);
    count++;
  }
  assert(count > 5, `${count} rows`);
  for (
    const [, path] of (await read(".github/CONTRIBUTING.md")).matchAll(
      /`((?:client|backends|tests)\/[a-z_\/]+\.ts)`/g,
    )
  ) {
    assert((await Deno.stat(new URL(path!, ROOT))).isFile, path);
  }
});

Deno.test("CONTRIBUTING names each file that decides by the name of a flow", async () => {
  const page = await read(".github/CONTRIBUTING.md");
  const [, section] = /### Adding a grant or a flow\n([^]*?)\n### /.exec(page)!;
  const decides =
    /^(?!\s*(\*|\/\/)).*(===|!==|case|flow\?:.*) "(device|browser|client_credentials)"/m;
  const unnamed: string[] = [];
  for await (const path of sourcesIn("client")) {
    const isNamed = section!.includes(`\`${path}\``) ||
      section!.includes(`\`${path.split("/").at(-1)}\``);
    if (decides.test(await read(path)) && !isNamed) unnamed.push(path);
  }
  assertEquals(unnamed, []);
});

/** The files of code below a folder. */
async function* sourcesIn(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(new URL(`${folder}/`, ROOT))) {
    if (isDirectory) yield* sourcesIn(`${folder}/${name}`);
    else if (name.endsWith(".ts")) yield `${folder}/${name}`;
  }
}

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
