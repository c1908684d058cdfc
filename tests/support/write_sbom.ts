/**
 * Writes what the command line is made of, as SPDX 2.3: `write_sbom.ts FILE`. The packages and their
 * versions are those that Deno resolves for the entry point.
 */
import { denoInfo } from "./deno_process.ts";

const ROOT = new URL("../../", import.meta.url);

/** A package that the command line contains. */
export interface Package {
  readonly registry: "jsr" | "npm";
  readonly name: string;
  readonly version: string;
}

interface Info {
  modules: { specifier: string }[];
  npmPackages?: Record<string, { name: string; version: string }>;
}

/** The packages in Deno's module graph. */
export function packagesOf({ modules, npmPackages = {} }: Info): Package[] {
  const npm = Object.values(npmPackages).map(({ name, version }) =>
    ({ registry: "npm", name, version }) as const
  );
  const jsr = modules.flatMap(({ specifier }) => {
    const [, name, version] = /\/(@[\w-]+\/[\w-]+)\/(\d[^/]*)\//.exec(specifier) ?? [];
    return name && version ? [{ registry: "jsr", name, version } as const] : [];
  });
  const all = [...npm, ...jsr].map((one) =>
    [`${one.registry}:${one.name}@${one.version}`, one] as const
  );
  return [...new Map(all)].sort(([a], [b]) => a < b ? -1 : 1).map(([, one]) => one);
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
