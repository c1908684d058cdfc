import { assertEquals } from "@std/assert";
import { tempDir } from "../temp_home.ts";
import { copyRepository } from "./copy_repository.ts";

const text = (path: string) => Deno.readTextFileSync(path);

async function write(path: string, content: string): Promise<void> {
  await Deno.mkdir(path.replace(/[/\\][^/\\]*$/, ""), { recursive: true });
  await Deno.writeTextFile(path, content);
}

Deno.test({
  name: "a copy follows the repository, without what Git and tools keep in it",
  ignore: Deno.build.os === "windows", // it is made on Linux, for Wine
  async fn() {
    await using folder = await tempDir();
    const [from, to] = [`${folder.path}/from`, `${folder.path}/to`];
    for (const path of ["a/b.ts", "vendor/c.ts", ".git/HEAD", "coverage/data/d", "gone.ts"]) {
      await write(`${from}/${path}`, path);
    }
    await copyRepository(from, to);
    assertEquals(text(`${to}/a/b.ts`) + text(`${to}/vendor/c.ts`), "a/b.tsvendor/c.ts");
    assertEquals(Array.from(Deno.readDirSync(to), ({ name }) => name).sort(), [
      "a",
      "gone.ts",
      "vendor",
    ]);

    await Deno.remove(`${from}/gone.ts`);
    await write(`${from}/a/b.ts`, "longer text");
    await write(`${to}/vendor/c.ts`, "vendor/C.ts"); // as large and newer: not written again
    await copyRepository(from, to);
    assertEquals(text(`${to}/a/b.ts`) + text(`${to}/vendor/c.ts`), "longer textvendor/C.ts");
    assertEquals(Array.from(Deno.readDirSync(to), ({ name }) => name).sort(), ["a", "vendor"]);
  },
});
