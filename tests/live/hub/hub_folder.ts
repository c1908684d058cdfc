import { DENO, denoInfo, mustRun, succeeds } from "../../support/deno_process.ts";
import { serverBinary } from "../../support/servers/servers.ts";
import { tempDir } from "../../support/temp_home.ts";
import type { UnixUser } from "./unix_users.ts";

/** A folder that everybody on the machine may enter, with all that a hub and its people run. */
export type HubFolder = Awaited<ReturnType<typeof makeHubFolder>>;

/** Makes the folder. The cache folder is in a home, which the people cannot enter. */
export async function makeHubFolder() {
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
    /** The environment of the hub and of the people's servers. */
    venv,
    /** What programs are found by. */
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

/** Puts the packages of npm that this module loads into a person's cache, so that npm is not asked. */
export async function fillDenoDir({ home, uid, gid }: UnixUser): Promise<void> {
  const { npmCache } = await denoInfo<{ npmCache: string }>(["--no-config"]);
  const copy = `mkdir -p "$1" && cd "$0" && cp -r --parents */oauth4webapi */uqr "$1"`;
  await mustRun(["sh", "-c", copy, npmCache, `${home}/.cache/deno/npm`]);
  await mustRun(["chown", "-R", `${uid}:${gid}`, home]);
}
