/** The package for npm, in the `node_modules` of a folder. Asks no registry: all of it is here already. */
import { ensureDir } from "@std/fs";
import { join } from "@std/path";
import { packNpm } from "../../../.ci/pack_npm.ts";
import { mustRun } from "../../support/deno_process.ts";
import { copyCached, NPM_DEPENDENCIES } from "../../support/npm_registry.ts";

/** Installs this package and its dependencies into the `node_modules` of a folder. */
export async function installNpmPackage(folder: string): Promise<void> {
  const modules = join(folder, "node_modules");
  const own = join(modules, "@validmind", "auth");
  await ensureDir(own);
  const tarball = await packNpm(join(folder, "packed"));
  await mustRun(["tar", "-xzf", tarball, "--strip-components=1", "-C", own]);
  for (const name of NPM_DEPENDENCIES) await copyCached(name, join(modules, name));
}
