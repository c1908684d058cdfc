/**
 * Turns the `@std` packages that an npm package carries into the tree Deno reads from `vendor/`.
 *
 * No imports: `setup.ts` runs this before any dependency can be resolved.
 */

/** The `@std` packages in the tree, with the versions that the npm package carries. */
export const STD_PACKAGES: Readonly<Record<string, string>> = {
  assert: "1.0.19",
  fs: "1.0.23",
  internal: "1.0.14",
  path: "1.1.4",
};

/** Files by their path below `@std/`, such as `path/1.1.4/join.js`. */
export type FileMap = Map<string, string>;

interface Manifest {
  [path: string]: { size: number; checksum: string };
}

const SIBLING_IMPORT = /(["'])(?:\.\.\/)+([a-z-]+)\/(\d+\.\d+\.\d+)\/([\w/]+)\.js\1/g;

/** Rewrites one file of the npm package to what the same module on JSR looks like to Deno. */
function restoreModule(path: string, text: string): string {
  const restored = text.replace(/^import \* as dntShim from .*_dnt\.shims\.js["'];\r?\n/m, "")
    .replace(/^\/\/# sourceMappingURL=.*$/gm, "")
    .replaceAll("dntShim.dntGlobalThis", "globalThis")
    .replaceAll("dntShim.", "")
    .replace(
      SIBLING_IMPORT,
      (whole, quote, name, version, module) =>
        name in STD_PACKAGES
          ? `${quote}jsr:@std/${name}@^${version}/${exportName(module)}${quote}`
          : whole,
    );
  if (!path.endsWith(".js")) return restored;
  const types = path.slice(path.lastIndexOf("/") + 1).replace(/\.js$/, ".d.ts");
  return `// @ts-self-types="./${types}"\n${restored}`;
}

/** `_`-prefixed files are private; JSR names a module in kebab-case and a `mod` by its folder. */
function exportName(module: string): string {
  return module.replaceAll("_", "-").replace(/(^|\/)mod$/, "");
}

/** The `exports` of a package whose modules are `paths`, such as `posix/is_glob.js`. */
function exportsOf(paths: Iterable<string>): Record<string, string> {
  const exports: Record<string, string> = {};
  for (const path of [...paths].sort()) {
    if (!path.endsWith(".js") || path.split("/").some((part) => part.startsWith("_"))) continue;
    const name = exportName(path.slice(0, -".js".length));
    exports[name === "" ? "." : `./${name}`] = `./${path}`;
  }
  return exports;
}

/** The two metadata files that Deno reads for `name`, whose modules are in `files`. */
async function metadata(name: string, version: string, files: FileMap): Promise<FileMap> {
  const prefix = `${name}/${version}/`;
  const manifest: Manifest = {};
  for (const [path, text] of files) {
    if (!path.startsWith(prefix)) continue;
    const bytes = new TextEncoder().encode(text);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
    const entry = { size: bytes.length, checksum: `sha256-${digest}` };
    manifest[`/${path.slice(prefix.length)}`] = entry;
  }
  const exports = exportsOf(Object.keys(manifest).map((path) => path.slice(1)));
  const meta = { scope: "std", name, latest: version, versions: { [version]: {} } };
  return new Map([
    [`${name}/meta.json`, JSON.stringify(meta)],
    [`${name}/${version}_meta.json`, JSON.stringify({ manifest, exports })],
  ]);
}

/** The whole tree below `@std/`, from the raw files of the npm package. */
export async function vendorTree(raw: FileMap): Promise<FileMap> {
  const tree: FileMap = new Map();
  for (const [path, text] of raw) tree.set(path, restoreModule(path, text));
  for (const [name, version] of Object.entries(STD_PACKAGES)) {
    for (const [path, text] of await metadata(name, version, tree)) tree.set(path, text);
  }
  return tree;
}

/** Writes `tree` below `folder`. */
export async function writeTree(folder: URL, tree: FileMap): Promise<void> {
  const folders = new Set(
    [...tree.keys()].map((path) => new URL("./", new URL(path, folder)).href),
  );
  for (const href of folders) await Deno.mkdir(new URL(href), { recursive: true });
  await Promise.all(
    [...tree].map(([path, text]) => Deno.writeTextFile(new URL(path, folder), text)),
  );
}

/** Whether every file that the metadata below `folder` names is there in its right size. */
export function isWhole(folder: URL): boolean {
  return Object.entries(STD_PACKAGES).every(([name, version]) => {
    try {
      JSON.parse(Deno.readTextFileSync(new URL(`${name}/meta.json`, folder)));
      const text = Deno.readTextFileSync(new URL(`${name}/${version}_meta.json`, folder));
      const { manifest } = JSON.parse(text) as { manifest: Manifest };
      return Object.entries(manifest).every(([path, { size }]) =>
        Deno.statSync(new URL(`${name}/${version}${path}`, folder)).size === size
      );
    } catch {
      return false;
    }
  });
}
