import { assert, assertEquals, assertRejects } from "@std/assert";
import { toFileUrl } from "@std/path";
import {
  exportsOf,
  type FileMap,
  isWhole,
  restoreModule,
  STD_PACKAGES,
  vendorTree,
  writeTree,
} from "./vendor_tree.ts";

Deno.test("restoreModule undoes what the npm build did to a module", () => {
  const built = [
    "// Copyright the authors.",
    'import * as dntShim from "../../../../../_dnt.shims.js";',
    'import { isWindows } from "../../internal/1.0.14/os.js";',
    'import { isGlob } from "../../../path/1.1.4/posix/is_glob.js";',
    'import { local } from "./_local.js";',
    "const { Deno } = dntShim.dntGlobalThis;",
    "export const info = dntShim.Deno.statSync(isWindows);",
    "//# sourceMappingURL=exists.js.map",
  ].join("\n");

  assertEquals(restoreModule("fs/1.0.23/exists.js", built).split("\n"), [
    '// @ts-self-types="./exists.d.ts"',
    "// Copyright the authors.",
    'import { isWindows } from "jsr:@std/internal@^1.0.14/os";',
    'import { isGlob } from "jsr:@std/path@^1.1.4/posix/is-glob";',
    'import { local } from "./_local.js";',
    "const { Deno } = globalThis;",
    "export const info = Deno.statSync(isWindows);",
    "",
  ]);
});

Deno.test("restoreModule gives declarations no types of their own", () => {
  const built = "export interface Entry extends dntShim.Deno.DirEntry {}\n";
  assertEquals(
    restoreModule("fs/1.0.23/walk.d.ts", built),
    "export interface Entry extends Deno.DirEntry {}\n",
  );
});

Deno.test("exportsOf names public modules as JSR does", () => {
  const paths = ["mod.js", "mod.d.ts", "is_glob.js", "_os.js", "posix/mod.js", "posix/is_glob.js"];
  assertEquals(exportsOf([...paths, "_common/join.js", "posix/_util.js"]), {
    ".": "./mod.js",
    "./is-glob": "./is_glob.js",
    "./posix": "./posix/mod.js",
    "./posix/is-glob": "./posix/is_glob.js",
  });
});

Deno.test("isWhole notices a file that is missing or cut off", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const std = toFileUrl(`${folder}/`);
    const raw: FileMap = new Map(
      Object.entries(STD_PACKAGES).map(([name, version]) => [`${name}/${version}/mod.js`, "1;\n"]),
    );
    const tree = await vendorTree(raw);
    const module = new URL("path/1.1.4/mod.js", std);
    assert(!isWhole(std));

    await writeTree(std, tree);
    assert(isWhole(std));

    await Deno.writeTextFile(module, "1;");
    assert(!isWhole(std));

    await Deno.remove(module);
    assert(!isWhole(std));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("vendorTree makes the modules for Windows that the npm package lacks", async () => {
  const raw: FileMap = new Map(
    Object.entries(STD_PACKAGES).map(([name, version]) => [`${name}/${version}/mod.js`, "1;\n"]),
  );
  raw.set("path/1.1.4/posix/mod.js", '// @std/path/posix\nexport * from "./common.js";\n');
  raw.set("path/1.1.4/posix/mod.d.ts", 'export * from "./common.js";\n');

  const tree = await vendorTree(raw);

  assertEquals(
    tree.get("path/1.1.4/windows/mod.js"),
    '// @ts-self-types="./mod.d.ts"\n// @std/path/windows\nexport * from "./common.js";\n',
  );
  const { exports } = JSON.parse(tree.get("path/1.1.4_meta.json") ?? "");
  assertEquals(exports["./windows"], "./windows/mod.js");
});

Deno.test("vendorTree refuses an npm package without the wanted versions", async () => {
  const raw: FileMap = new Map([["path/9.9.9/mod.js", ""]]);
  await assertRejects(() => vendorTree(raw), Error, "the npm package has no @std/assert 1.0.19");
});
