import { assertEquals } from "@std/assert";
import { denoInfo } from "./deno_process.ts";
import { type Info, packagesOf, spdxOf } from "./write_sbom.ts";

Deno.test("the SBOM names each package once, with its version", () => {
  const packages = packagesOf({
    modules: [
      { specifier: "https://jsr.io/@std/path/1.1.4/join.ts" },
      { specifier: "https://jsr.io/@std/path/1.1.4/mod.ts" },
      { specifier: "file:///auth/client/cli.ts" },
      { specifier: "npm:/uqr@0.1.3", npmPackage: "uqr@0.1.3" },
    ],
    npmPackages: {
      "uqr@0.1.3": { name: "uqr", version: "0.1.3" },
      "of-tests@1.0.0": { name: "of-tests", version: "1.0.0" },
    },
  });
  const { packages: found, relationships } = spdxOf(packages, "@a/b", "1.0.0", new Date(0));
  assertEquals(found.map(({ name, versionInfo }) => `${name} ${versionInfo}`), [
    "@a/b 1.0.0",
    "@std/path 1.1.4",
    "uqr 0.1.3",
  ]);
  assertEquals(relationships.length, 2);
});

Deno.test("what is published loads these packages at run time, and no other", async () => {
  const { exports } = JSON.parse(
    await Deno.readTextFile(new URL("../../deno.json", import.meta.url)),
  );
  const names = new Set<string>();
  for (const entry of Object.values<string>(exports)) {
    for (const { name } of packagesOf(await denoInfo<Info>([entry]))) names.add(name);
  }
  const own = [...names].filter((name) => !name.startsWith("@napi-rs/keyring-")).sort();
  assertEquals(own, [
    "@napi-rs/keyring",
    "oauth4webapi",
    "uqr",
  ]);
});
