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

Deno.test("documentation: a text and code for each module, a text and a category for each symbol", async () => {
  const args = ["doc", "--json", ...Object.values(exports)];
  const { code, stdout, stderr } = await runDenoTool(args, { cwd: ROOT, timeoutMs: 120_000 });
  assertEquals(code, 0, stderr);
  const nodes = JSON.parse(stdout).nodes as Record<string, Module>;
  const bare: string[] = [];
  for (const path of Object.values(exports)) {
    const { module_doc, symbols } = nodes[new URL(path, ROOT).href]!;
    assert(/[.:]\n|[.:]$/m.test(module_doc?.doc ?? ""), `${path} has no sentence`);
    assert(JSON.stringify(module_doc).includes("```"), `${path} has no example`);
    assert(symbols.length > 0);
    for (const { name, declarations } of symbols) {
      for (const { kind, jsDoc } of declarations) {
        const category = jsDoc?.tags?.find(({ kind }) => kind === "category")?.doc?.trim();
        if (!jsDoc?.doc || !category) bare.push(`${path}: ${kind} ${name}`);
      }
    }
  }
  assertEquals(bare, []);
});
