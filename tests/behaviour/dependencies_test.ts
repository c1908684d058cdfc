import { assertEquals } from "@std/assert";
import { readSource, sourceFiles, withoutComments } from "../support/rooms.ts";

/** The files that use each package. */
async function packages(): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  for (const file of await sourceFiles()) {
    const source = withoutComments(await readSource(file));
    for (
      const [, name] of source.matchAll(
        /(?:from|import\()\s*"(?!node:)((?:npm:|jsr:)?[@a-z][^"]*)"/g,
      )
    ) {
      const [, owner = ""] = /^((?:@[^/]+\/)?[^/]+)/.exec(name!) ?? [];
      found.set(owner, [...new Set([...found.get(owner) ?? [], file])]);
    }
  }
  return found;
}

Deno.test("dependencies: at run time there are those that SECURITY.md names, and no other", async () => {
  const found = await packages();
  assertEquals([...found.keys()].sort(), [
    "@napi-rs/keyring",
    "@std/fs",
    "@std/path",
    "oauth4webapi",
    "uqr",
  ]);
  assertEquals(found.get("uqr"), ["client/prompt/qr_code.ts"]);
});
