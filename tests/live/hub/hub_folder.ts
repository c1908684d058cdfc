import { copy } from "@std/fs";
import { DENO, denoInfo, mustRun, succeeds } from "../../support/deno_process.ts";
import { serverBinary } from "../../support/servers/servers.ts";
import { tempDir } from "../../support/temp_home.ts";
import type { UnixUser } from "./unix_users.ts";

/** The packages of npm that this module loads. */
const NPM_PACKAGES = ["oauth4webapi", "uqr"];

/** A folder that everybody on the machine may enter, with all that a hub and its people run. */
export interface HubFolder extends AsyncDisposable {
  readonly path: string;
  /** The environment of the hub and of the people's servers. */
  readonly venv: string;
  /** What programs are found by. */
  readonly pathVariable: string;
}

/** Makes the folder. The cache folder is in a home, which the people cannot enter. */
export async function makeHubFolder(): Promise<HubFolder> {
  const python = await serverBinary("jupyterhub");
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await tempDir("validmind-auth-hub-"));
  await Deno.chmod(path, 0o755);
  const venv = `${path}/venv`;
  await link(python.replace(/\/bin\/python$/, ""), venv);
  await Deno.mkdir(`${path}/bin`);
  await link(DENO, `${path}/bin/deno`);
  const made = stack.move();
  return {
    path,
    venv,
    pathVariable: `${path}/bin:${venv}/bin:${Deno.env.get("PATH")}`,
    [Symbol.asyncDispose]: () => made.disposeAsync(),
  };
}

/** The same files under another path, without a copy where the disk and the owner are the same. */
async function link(from: string, to: string): Promise<void> {
  const options = { timeoutMs: 120_000 };
  if (await succeeds(["cp", "-al", from, to], options)) return;
  await mustRun(["rm", "-rf", to]); // else the copy would come to lie within what was linked
  await mustRun(["cp", "-a", from, to], options);
}

/** Puts the packages of npm that this process has into a person's cache, so that npm is not asked. */
export async function fillDenoDir({ home, uid, gid }: UnixUser): Promise<void> {
  const { npmCache } = await denoInfo<{ npmCache: string }>(["--no-config"]);
  for await (const registry of Deno.readDir(npmCache)) {
    for (const name of NPM_PACKAGES) {
      const from = `${npmCache}/${registry.name}/${name}`;
      const to = `${home}/.cache/deno/npm/${registry.name}`;
      if (!await Deno.stat(from).then(() => true, () => false)) continue;
      await Deno.mkdir(to, { recursive: true });
      await copy(from, `${to}/${name}`);
    }
  }
  await mustRun(["chown", "-R", `${uid}:${gid}`, home]);
}
