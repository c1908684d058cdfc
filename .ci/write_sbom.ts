/**
 * Writes what the command line is made of, as SPDX 2.3: `write_sbom.ts FILE`. The packages and their
 * versions are those that Deno resolves for the entry point.
 */
import { denoInfo } from "../tests/support/deno_process.ts";

const ROOT = new URL("../", import.meta.url);

/** A package that the command line contains. */
export interface Package {
  readonly registry: "jsr" | "npm";
  readonly name: string;
  readonly version: string;
}

/** What is read of `deno info --json`. */
export interface Info {
  modules: { specifier: string; npmPackage?: string }[];
  npmPackages?: Record<string, { name: string; version: string; dependencies?: string[] }>;
}

/** The packages in Deno's module graph. It lists all of the lock file: those that nothing loads are left out. */
export function packagesOf({ modules, npmPackages = {} }: Info): Package[] {
  const found = new Map<string, Package>();
  const note = (id: string) => {
    const one = npmPackages[id];
    if (one === undefined || found.has(`npm:${id}`)) return;
    found.set(`npm:${id}`, { registry: "npm", name: one.name, version: one.version });
    one.dependencies?.forEach(note);
  };
  for (const { specifier, npmPackage } of modules) {
    if (npmPackage !== undefined) note(npmPackage);
    const [, name, version] = /\/(@[\w-]+\/[\w-]+)\/(\d[^/]*)\//.exec(specifier) ?? [];
    if (name && version) found.set(`jsr:${name}@${version}`, { registry: "jsr", name, version });
  }
  return [...found].sort(([a], [b]) => a < b ? -1 : 1).map(([, one]) => one);
}

/** An SPDX document of packages. */
export function spdxOf(packages: readonly Package[], name: string, version: string, now: Date) {
  const own = {
    SPDXID: "SPDXRef-own",
    name,
    versionInfo: version,
    downloadLocation: "NOASSERTION",
  };
  const parts = packages.map((one, index) => ({
    SPDXID: `SPDXRef-${index}`,
    name: one.name,
    versionInfo: one.version,
    downloadLocation: "NOASSERTION",
    externalRefs: [{
      referenceCategory: "PACKAGE-MANAGER",
      referenceType: "purl",
      referenceLocator: `pkg:${one.registry}/${one.name.replace("@", "%40")}@${one.version}`,
    }],
  }));
  return {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: "SPDXRef-DOCUMENT",
    name: `${name}@${version}`,
    documentNamespace: `https://jsr.io/${name}/${version}/${crypto.randomUUID()}`,
    creationInfo: {
      created: now.toISOString().replace(/\.\d+Z$/, "Z"),
      creators: ["Tool: deno info"],
    },
    packages: [own, ...parts],
    relationships: parts.map(({ SPDXID }) => ({
      spdxElementId: own.SPDXID,
      relatedSpdxElement: SPDXID,
      relationshipType: "CONTAINS",
    })),
  };
}

if (import.meta.main) {
  const { name, version } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  const packages = packagesOf(await denoInfo<Info>(["client/cli.ts"]));
  const text = JSON.stringify(spdxOf(packages, name, version, new Date()), undefined, 2);
  await Deno.writeTextFile(Deno.args[0]!, `${text}\n`);
}
