import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { exists } from "@std/fs";
import { join } from "@std/path";
import { runDeno } from "./deno_process.ts";
import { type JsrRegistry, startJsrRegistry } from "./jsr_registry.ts";

const CONFIG = {
  name: "@acme/app",
  version: "1.2.3",
  license: "MIT",
  exports: { ".": "./mod.ts", "./load": "./load.ts" },
  imports: { "@std/path": "jsr:@std/path@^1.1.4" },
  vendor: true,
  publish: { include: ["deno.json", "*.ts"], exclude: ["*_test.ts"] },
};

const SOURCE: Record<string, string> = {
  "deno.json": JSON.stringify(CONFIG),
  "mod.ts": `/** A module. @module */
import { join } from "@std/path/posix/join";
import type { ParsedPath } from "@std/path/types";
/** Joins late. */
export async function late(parsed?: Partial<ParsedPath>): Promise<string> {
  const { dirname } = await import("@std/path/posix/dirname");
  return dirname(join("a", "b", parsed?.base ?? "c"));
}
`,
  "load.ts": `/** Loads. */
export async function load(specifier: string): Promise<unknown> {
  return await import(specifier);
}
`,
  "mod_test.ts": "export {};\n",
};

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function writeAll(folder: string, files: Record<string, string>): Promise<string> {
  await Deno.mkdir(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(join(folder, name), text);
  }
  return folder;
}

/** What a script prints that a user of the registry runs without any permission. */
async function runScript(registry: JsrRegistry, folder: string, code: string): Promise<string> {
  const script = join(folder, "script.ts");
  await Deno.writeTextFile(script, code);
  const flags = ["--no-config", "--check"];
  const how = { flags, config: false, cwd: folder, env: registry.env };
  const { stdout, stderr } = await runDeno({ file: script, ...how });
  return stdout.trim() || stderr;
}

Deno.test("the registry serves a package as deno publish packs it", () =>
  withFolder(async (folder) => {
    const root = await writeAll(join(folder, "app"), SOURCE);
    await using registry = await startJsrRegistry({ root });
    assertEquals(registry.requests, []);

    const code =
      'import { late } from "jsr:@acme/app@1";\nconsole.log(await late({ base: "d" }));\n';
    assertEquals(await runScript(registry, folder, code), "a/b");

    const served = await (await fetch(`${registry.url}/@acme/app/1.2.3/mod.ts`)).text();
    assertStringIncludes(served, 'from "jsr:/@std/path@^1.1.4/posix/join"');
    assertStringIncludes(served, 'import("jsr:/@std/path@^1.1.4/posix/dirname")');
    const meta = await (await fetch(`${registry.url}/@acme/app/1.2.3_meta.json`)).json();
    assertEquals(meta.exports, CONFIG.exports);
    assertEquals(Object.keys(meta.manifest).sort(), ["/deno.json", "/load.ts", "/mod.ts"]);
    assertEquals(await exists(join(root, "vendor")), false, "publishing wrote to the source");
  }));

Deno.test("a served module can import an added package by a computed name", () =>
  withFolder(async (folder) => {
    const root = await writeAll(join(folder, "app"), SOURCE);
    await using registry = await startJsrRegistry({ root });
    const files = { "mod.ts": "export class Backend { readonly persistent: boolean = true; }\n" };
    const exports = { ".": "./mod.ts" };
    registry.add({ name: "@acme/backend", version: "1.0.0", files, exports });
    registry.add({ name: "@acme/backend", version: "1.1.0", files, exports });

    const code = `import { load } from "jsr:@acme/app/load";
console.log(Object.keys(await load(["jsr:", "@acme/backend@^1"].join("")) as object));\n`;
    assertEquals(await runScript(registry, folder, code), '[ "Backend" ]');
    assertStringIncludes(registry.requests.join("\n"), "/@acme/backend/1.1.0/mod.ts");
  }));

Deno.test("the registry tells why it cannot publish", () =>
  withFolder(async (folder) => {
    const broken = { ...SOURCE, "mod.ts": 'import "@std/unknown";\n' };
    const root = await writeAll(join(folder, "app"), broken);
    await assertRejects(() => startJsrRegistry({ root }), Error, "@std/unknown");
  }));
