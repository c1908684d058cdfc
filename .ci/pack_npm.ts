/**
 * Makes the package for npm: `deno task pack`. The tarball lies in `dist/`.
 *
 * It has the code of the package for JSR, as JavaScript with declarations. npm has no `@std/path`, so
 * its modules are carried along. Needs npm, which writes the tarball; it asks no registry.
 */
import { copy, emptyDir, ensureDir, walk } from "@std/fs";
import { dirname, fromFileUrl, join, relative } from "@std/path";
import { denoInfo, mustRun, runDenoTool } from "../tests/support/deno_process.ts";

const ROOT = fromFileUrl(new URL("../", import.meta.url));
const VENDOR = join(ROOT, "vendor", "jsr.io");

/** The folder of the package in which the modules of `@std/path` lie. */
const STD_PATH = "std_path";

/** npm's packages that the code imports by these names. The keychain's libraries are for Deno alone. */
const DEPENDENCIES = ["oauth4webapi", "uqr"];

/** The program that packs and publishes. */
export const NPM: string = Deno.build.os === "windows" ? "npm.cmd" : "npm";

/** The program of the package. */
const PROGRAM = `#!/usr/bin/env -S deno run --allow-all --unstable-kv --quiet
import { runCli } from "./client/cli.js";
Deno.exit(await runCli(Deno.args));
`;

/** What is read of deno.json. */
interface Config {
  name: string;
  version: string;
  license: string;
  exports: Record<string, string>;
  imports: Record<string, string>;
}

/** Makes the package in a folder, which is emptied first, and gives the path of its tarball there. */
export async function packNpm(folder: string): Promise<string> {
  const content = join(folder, "package");
  await emptyDir(folder);
  await ensureDir(content);
  const config: Config = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
  const files = ["mod.ts", ...await modulesIn("backends"), ...await modulesIn("client")];
  await transpile(ROOT, content, files);
  await carryStdPath(join(content, STD_PATH));
  for await (const { path } of walk(content, { exts: [".js", ".d.ts"] })) {
    const text = withoutOwnPaths(await Deno.readTextFile(path), dirname(path), content);
    await Deno.writeTextFile(path, withNpmSpecifiers(text, relative(dirname(path), content)));
  }
  await Deno.writeTextFile(join(content, "validmind-auth.js"), PROGRAM, { mode: 0o755 });
  await Deno.writeTextFile(join(content, "package.json"), manifestOf(config));
  for (const name of ["README.md", "LICENSE"]) await copy(join(ROOT, name), join(content, name));

  const args = ["pack", content, "--pack-destination", folder, "--ignore-scripts", "--silent"];
  // Its cache and its logs stay in the folder.
  const env = { HOME: folder, npm_config_cache: join(folder, "cache") };
  const name = await mustRun([NPM, ...args], { cwd: folder, env, timeoutMs: 120_000 });
  return join(folder, name.trim());
}

function manifestOf({ name, version, license, exports, imports }: Config): string {
  const entries = Object.entries(exports).map(([entry, file]) => {
    const main = npmSpecifier(file, "");
    return [entry, { types: main.replace(/\.js$/, ".d.ts"), default: main }];
  });
  const versions = DEPENDENCIES.map((dependency) => {
    const [, range] = /^npm:[^@]+@(.+)$/.exec(imports[dependency] ?? "") ?? [];
    if (range === undefined) throw new Error(`Cannot pack: deno.json has no ${dependency}.`);
    return [dependency, range];
  });
  const manifest = {
    name,
    version,
    description: "Sign in to an API behind an OpenID Provider, and keep the tokens safe",
    license,
    type: "module",
    engines: { node: ">=24" },
    exports: Object.fromEntries(entries),
    bin: { "validmind-auth": "validmind-auth.js" },
    dependencies: Object.fromEntries(versions),
  };
  return `${JSON.stringify(manifest, undefined, 2)}\n`;
}

/** The name of an imported module for npm, in a file from which `up` leads to the package's folder. */
function npmSpecifier(specifier: string, up: string): string {
  if (/^\.\.?\//.test(specifier)) return specifier.replace(/\.ts$/, ".js");
  const [, half, name] = /^@std\/path\/(posix|windows)\/([\w-]+)$/.exec(specifier) ?? [];
  if (name === undefined) return specifier;
  return `${up.replaceAll("\\", "/")}/${STD_PATH}/${half}/${name.replaceAll("-", "_")}.js`;
}

/** A module's text with npm's names in its imports. */
function withNpmSpecifiers(text: string, up: string): string {
  return text.replace(
    /^((?:import|export)\b[^"'`;]*?|.*\bimport\()(["'])([^"'`\n]+)\2/gm,
    (_, before, quote, specifier) => `${before}${quote}${npmSpecifier(specifier, up)}${quote}`,
  );
}

/** A declaration without the paths of this machine, which the compiler writes for inferred types. */
function withoutOwnPaths(text: string, folder: string, content: string): string {
  return text.replace(/^\/\/\/ <amd-module [^\n]*\n/gm, "").replaceAll(
    /import\("(file:\/\/[^"]+)"\)/g,
    (_, url) => {
      const place = join(content, relative(ROOT, fromFileUrl(url)));
      return `import("./${relative(folder, place).replaceAll("\\", "/")}")`;
    },
  );
}

async function modulesIn(folder: string): Promise<string[]> {
  const files = await Array.fromAsync(walk(join(ROOT, folder), { exts: [".ts"] }));
  return files.map(({ path }) => relative(ROOT, path)).sort();
}

/** Writes the modules of `@std/path` that the code imports, and their license. */
async function carryStdPath(to: string): Promise<void> {
  const { modules } = await denoInfo<{ modules: { specifier: string }[] }>([join(ROOT, "mod.ts")]);
  const paths = modules.flatMap(({ specifier }) =>
    /^https:\/\/jsr\.io\/(@std\/path\/[^/]+)\/(.+)$/.exec(specifier)?.slice(1) ?? []
  );
  const from = join(VENDOR, paths[0]!);
  const files = paths.filter((_, index) => index % 2 === 1);
  await transpile(from, to, files.filter((file) => /(?<!\.d)\.ts$/.test(file)));
  for (const file of files.filter((file) => file.endsWith(".js"))) {
    await ensureDir(dirname(join(to, file)));
    await Deno.copyFile(join(from, file), join(to, file));
  }
}

async function transpile(cwd: string, to: string, files: readonly string[]): Promise<void> {
  if (files.length === 0) return;
  const args = ["transpile", "--quiet", "--no-check", "--declaration", "--outdir", to, ...files];
  const { code, stderr } = await runDenoTool(args, {
    cwd,
    env: { NO_COLOR: "1" },
    timeoutMs: 300_000,
  });
  if (code !== 0) throw new Error(`Cannot make the package for npm: ${stderr}`);
}

// deno-lint-ignore no-console -- it is a program
if (import.meta.main) console.log(await packNpm(join(ROOT, "dist", "npm")));
