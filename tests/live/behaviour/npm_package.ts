/**
 * This package for Node and Bun, as JSR makes it for npm: JavaScript with npm's names in it, and
 * declarations.
 */
import { copy, walk } from "@std/fs";
import { dirname, fromFileUrl, join, relative } from "@std/path";
import { denoInfo, runDenoTool } from "../../support/deno_process.ts";

const ROOT = fromFileUrl(new URL("../../../", import.meta.url));
const VENDOR = join(ROOT, "vendor", "jsr.io");

/** The packages of `@std` that the published sources import, and the ones that those import. */
const STD_PACKAGES = ["assert", "fs", "internal", "path"];
/** npm's packages that the published sources import. The keychain's is for Deno alone. */
const NPM_PACKAGES = ["oauth4webapi", "uqr"];

/**
 * The name of an imported module for npm. JSR's own registry for npm has `@scope/name` as
 * `@jsr/scope__name`.
 */
function npmSpecifier(specifier: string): string {
  if (/^\.\.?\//.test(specifier)) return specifier.replace(/\.ts$/, ".js");
  return specifier.replace(/^(?:jsr:)?@std\/([a-z-]+)(?:@[^/]+)?/, "@jsr/std__$1");
}

/** A module's text with npm's names in its imports. */
function withNpmSpecifiers(text: string): string {
  return text.replace(
    /^((?:import|export)\b[^"'`;]*?|.*\bimport\()(["'])([^"'`\n]+)\2/gm,
    (_, before, quote, specifier) => `${before}${quote}${npmSpecifier(specifier)}${quote}`,
  );
}

/**
 * Installs this package and its dependencies into the `node_modules` of a folder, under the name by
 * which JSR tells people to install it. Asks no registry: all of it is here already.
 */
export async function installNpmPackage(folder: string): Promise<void> {
  const modules = join(folder, "node_modules");
  const { version, exports } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
  const manifest = { name: "@jsr/validmind__auth", version, exports };
  const files = ["mod.ts", ...await modulesIn("backends"), ...await modulesIn("client")];
  await installModules(ROOT, join(modules, "@validmind", "auth"), manifest, files);
  for (const name of STD_PACKAGES) await installStd(name, join(modules, "@jsr", `std__${name}`));
  const { npmCache } = await denoInfo<{ npmCache: string }>(["--no-config"]);
  for (const name of NPM_PACKAGES) await installFromCache(npmCache, name, join(modules, name));
}

async function modulesIn(folder: string): Promise<string[]> {
  const files = await Array.fromAsync(walk(join(ROOT, folder), { exts: [".ts"] }));
  return files.map(({ path }) => relative(ROOT, path));
}

interface Manifest {
  readonly name: string;
  readonly version: string;
  /** By what is imported: the files, as JSR has them. */
  readonly exports: Record<string, string>;
}

/** Writes modules as JavaScript, with their declarations, and a package.json. */
async function installModules(
  from: string,
  to: string,
  { exports, ...manifest }: Manifest,
  files: readonly string[],
): Promise<void> {
  const sources = files.filter((file) => /(?<!\.d)\.ts$/.test(file));
  if (sources.length > 0) await transpile(from, to, sources);
  for (const file of files.filter((file) => file.endsWith(".js"))) {
    await Deno.mkdir(dirname(join(to, file)), { recursive: true });
    await Deno.copyFile(join(from, file), join(to, file));
  }
  for await (const { path } of walk(to, { exts: [".js", ".d.ts"] })) {
    await Deno.writeTextFile(path, withNpmSpecifiers(await Deno.readTextFile(path)));
  }
  const entries = Object.entries(exports).map(([name, file]) => {
    const main = npmSpecifier(file);
    return [name, { types: main.replace(/\.js$/, ".d.ts"), default: main }];
  });
  const text = { ...manifest, type: "module", exports: Object.fromEntries(entries) };
  await Deno.writeTextFile(join(to, "package.json"), JSON.stringify(text));
}

async function transpile(cwd: string, to: string, files: readonly string[]): Promise<void> {
  const args = ["transpile", "--quiet", "--no-check", "--declaration", "--outdir", to, ...files];
  const options = { cwd, env: { NO_COLOR: "1" }, timeoutMs: 300_000 };
  const { code, stderr } = await runDenoTool(args, options);
  if (code !== 0) throw new Error(`Cannot make the package for npm: ${stderr}`);
}

async function installStd(name: string, to: string): Promise<void> {
  const folder = join(VENDOR, "@std", name);
  const versions = Array.from(Deno.readDirSync(folder)).filter(({ isDirectory }) => isDirectory);
  const version = versions.map((one) => one.name).sort().at(-1)!;
  const meta = JSON.parse(await Deno.readTextFile(join(folder, `${version}_meta.json`)));
  const from = join(folder, version);
  const found = await Array.fromAsync(walk(from, { exts: [".ts", ".js"], includeDirs: false }));
  const files = found.map(({ path }) => relative(from, path));
  const { exports } = meta as Manifest;
  await installModules(from, to, { name: `@jsr/std__${name}`, version, exports }, files);
}

/** Takes a package without dependencies from Deno's cache, which has it by registry and version. */
async function installFromCache(npmCache: string, name: string, to: string): Promise<void> {
  for (const registry of Deno.readDirSync(npmCache)) {
    const folder = join(npmCache, registry.name, name);
    const entries = await Deno.stat(folder).then(() => Array.from(Deno.readDirSync(folder)))
      .catch(() => []);
    const version = entries.filter(({ isDirectory }) => isDirectory).at(-1);
    if (version !== undefined) return await copy(join(folder, version.name), to);
  }
  throw new Error(`Cannot find ${name} in ${npmCache}: run \`deno task check\` first.`);
}
