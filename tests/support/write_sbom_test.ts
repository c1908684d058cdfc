import { assertEquals } from "@std/assert";
import { packagesOf, spdxOf } from "./write_sbom.ts";

Deno.test("the SBOM names each package once, with its version", () => {
  const packages = packagesOf({
    modules: [
      { specifier: "https://jsr.io/@std/path/1.1.4/join.ts" },
      { specifier: "https://jsr.io/@std/path/1.1.4/mod.ts" },
      { specifier: "file:///auth/client/cli.ts" },
    ],
    npmPackages: { "uqr@0.1.3": { name: "uqr", version: "0.1.3" } },
  });
  const { packages: found, relationships } = spdxOf(packages, "@a/b", "1.0.0", new Date(0));
  assertEquals(found.map(({ name, versionInfo }) => `${name} ${versionInfo}`), [
    "@a/b 1.0.0",
    "@std/path 1.1.4",
    "uqr 0.1.3",
  ]);
  assertEquals(relationships.length, 2);
});
