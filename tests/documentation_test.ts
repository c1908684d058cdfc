import { assert, assertEquals } from "@std/assert";
import { runDenoTool } from "./support/deno_process.ts";

const ROOT = new URL("../", import.meta.url);

interface Documented {
  jsDoc?: { doc?: string; tags?: { kind: string; doc?: string }[] };
  kind?: string;
}

interface Module {
  module_doc?: { doc?: string };
  symbols: { name: string; declarations: Documented[] }[];
}

const { exports } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT))) as {
  exports: Record<string, string>;
};

/** The module of an export, as JSR reads it. */
async function documentationOf(path: string): Promise<Module> {
  const { code, stdout, stderr } = await runDenoTool(["doc", "--json", path], {
    cwd: ROOT,
    timeoutMs: 120_000,
  });
  assertEquals(code, 0, stderr);
  return Object.values(JSON.parse(stdout).nodes as Record<string, Module>)[0]!;
}

for (const [name, path] of Object.entries(exports)) {
  Deno.test(`documentation of ${name}: a text and code for the module, a text and a category for each symbol`, async () => {
    const { module_doc, symbols } = await documentationOf(path);
    const text = [module_doc?.doc, JSON.stringify(module_doc)].join("\n");
    assert(/[.:]\n|[.:]$/m.test(module_doc?.doc ?? ""), "the module has no sentence");
    assert(text.includes("```"), "the module has no example");
    assert(symbols.length > 0);
    const bare: string[] = [];
    for (const { name, declarations } of symbols) {
      for (const { kind, jsDoc } of declarations) {
        const category = jsDoc?.tags?.find(({ kind }) => kind === "category")?.doc?.trim();
        if (!jsDoc?.doc || !category) bare.push(`${kind} ${name}`);
      }
    }
    assertEquals(bare, []);
  });
}
