import { assert, assertEquals } from "@std/assert";
import { walk } from "@std/fs/walk";
import { CLI_BEGIN, CLI_END, cliReference } from "./support/cli_reference.ts";
import { BEGIN, END, permissionTables, unpadded } from "./support/permission_table.ts";

const README = await Deno.readTextFile(new URL("../README.md", import.meta.url));

Deno.test("README's permission tables are what the code declares", async () => {
  const written = README.slice(README.indexOf(BEGIN), README.indexOf(END) + END.length);
  assertEquals(unpadded(written), unpadded(await permissionTables()), "run: deno task readme");
});

Deno.test("README's reference of the command line is the table that drives it", async () => {
  const written = README.slice(README.indexOf(CLI_BEGIN), README.indexOf(CLI_END) + CLI_END.length);
  assertEquals(unpadded(written), unpadded(await cliReference()), "run: deno task readme");
});

Deno.test("README explains every error code, and no other", async () => {
  for (const file of ["client/errors.ts", "backends/credentials_backend_error.ts"]) {
    const source = await Deno.readTextFile(new URL(`../${file}`, import.meta.url));
    const codes = [...source.matchAll(/^ {2}\| "(\w+)"/gm)].map(([, code]) => code);
    assert(codes.length > 10);
    const missing = codes.filter((code) => !README.includes(`\`${code}\``));
    assertEquals(missing, [], file);
  }
});

Deno.test("README's pictures are there, and small", async () => {
  const paths = [...README.matchAll(/(?:src|srcset)="([^"]+)"/g)].map(([, path]) => path!);
  assertEquals(paths.length, 3);
  for (const path of paths) {
    const { size } = await Deno.stat(new URL(`../${path}`, import.meta.url));
    assert(size > 0 && size < 60_000, `${path} has ${size} bytes`);
  }
});

Deno.test("README names every variable that the code reads", async () => {
  for (const folder of ["client", "backends"]) {
    const files = walk(new URL(`../${folder}`, import.meta.url), { exts: [".ts"] });
    for await (const { path } of files) {
      const source = await Deno.readTextFile(path);
      for (const [variable] of source.matchAll(/\bVM_[A-Z_]+[A-Z]\b/g)) {
        assert(README.includes(variable), `${variable}, in ${path}`);
      }
    }
  }
});

Deno.test("README's links lead somewhere", async () => {
  const prose = README.replace(/^```.*?^```$/gms, "");
  const anchors = new Set(
    [...prose.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
      title!.toLowerCase().replaceAll(/[^\w -]/g, "").replaceAll(" ", "-")
    ),
  );
  const links = [...prose.matchAll(/\]\((?!https?:)([^)]+)\)/g)].map(([, link]) => link!);
  assert(links.length > 10);
  for (const link of links) {
    if (link.startsWith("#")) assert(anchors.has(link.slice(1)), `${link} is no heading`);
    else assert((await Deno.stat(new URL(`../${link}`, import.meta.url))).isFile, link);
  }
});
