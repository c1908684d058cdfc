import { fromFileUrl } from "@std/path";
import { freePort } from "../../support/servers/free_port.ts";
import { JUPYTERLAB_OVERRIDES } from "../../support/servers/jupyterlab.ts";
import { startServerProcess } from "../../support/servers/server_process.ts";
import type { HubFolder } from "./hub_folder.ts";
import { HubRobot, START_MS } from "./hub_robot.ts";
import { endProcesses, type UnixUser } from "./unix_users.ts";

const CONFIG = fromFileUrl(new URL("./hub_under_test.py", import.meta.url));
const PROXY = "configurable-http-proxy";
const KERNEL = new URL("./recipes/kernel.json", import.meta.url);

/** Options of {@linkcode startHub}. */
export interface HubOptions {
  folder: HubFolder;
  users: readonly UnixUser[];
  /** The configuration file that a reader of the pages has: a file of `recipes/`. */
  recipe: string;
  /** The port that people reach it at. */
  port: number;
  /** Variables of the people's servers, in place of the recipe's. */
  environment: Record<string, string>;
  /** Variables of the hub itself. */
  env?: Record<string, string>;
  /** Names of the recipe that stand for places of the machine, with their places here. */
  places?: Record<string, string | number>;
  /** Settings of the recipe's own authenticator, which is used then, by class and name. */
  config?: Record<string, Record<string, unknown>>;
}

/** Starts JupyterHub on loopback. It reaches no other host. */
export async function startHub(options: HubOptions) {
  const { folder: { path, venv, pathVariable }, users, recipe, port, places, config } = options;
  const [state, log] = [`${path}/hub`, `${path}/hub.log`];
  await Deno.mkdir(state, { recursive: true, mode: 0o700 });
  await Deno.writeTextFile(log, "", { mode: 0o600 });
  await installKernel(venv);
  const origin = `http://127.0.0.1:${port}`;
  const robot = crypto.randomUUID();
  const settings = {
    recipe: fromFileUrl(new URL(`./recipes/${recipe}`, import.meta.url)),
    environment: options.environment,
    ...(places && { places }),
    url: `${origin}/`,
    hub_url: `http://127.0.0.1:${freePort()}`,
    proxy_url: `http://127.0.0.1:${freePort()}`,
    proxy_command: ["node", `${venv}/node_modules/${PROXY}/bin/${PROXY}`],
    ...(config && { config }),
    authenticator: config ? null : "pam",
    users: users.map(({ name }) => name),
    server_ports: Object.fromEntries(users.map(({ name }) => [name, freePort()])),
    server_command: [`${venv}/bin/python`, "-m", "jupyterhub.singleuser"],
    server_args: [`--LabApp.app_settings_dir=${await labSettings(path)}`],
    start_seconds: START_MS / 1000,
    robot,
  };
  const file = `${state}/settings.json`;
  await Deno.writeTextFile(file, JSON.stringify(settings), { mode: 0o600 });
  const hub = await startServerProcess({
    // The pipe to tee, so that what is said can be searched afterwards.
    command: [
      ...["bash", "-c", `cd "$0" && exec "\${@:2}" > >(exec tee -a "$1" >&2) 2>&1`, state, log],
      ...[`${venv}/bin/python`, "-m", "jupyterhub", "-f", CONFIG],
    ],
    readyOn: "stderr",
    ready: /(JupyterHub is now running)/,
    env: { ...options.env, HUB_SETTINGS: file, PATH: pathVariable },
  });
  return {
    origin,
    robot: new HubRobot(origin, robot),
    /** The file in which all that the hub, its proxy and the people's servers say is. */
    log,
    /** The hub's own folder, with its database. */
    state,
    async [Symbol.asyncDispose]() {
      // An orderly end waits for each kernel; the servers and the proxy end with the hub.
      const ended = hub.end("KILL");
      // What outlives its server keeps the log open.
      await Promise.all(users.map(({ uid }) => endProcesses(uid)));
      await ended;
    },
  };
}

async function installKernel(venv: string): Promise<void> {
  const folder = `${venv}/share/jupyter/kernels/deno`;
  await Deno.mkdir(folder, { recursive: true });
  await Deno.copyFile(KERNEL, `${folder}/kernel.json`);
}

async function labSettings(path: string): Promise<string> {
  const folder = `${path}/lab-settings`;
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(`${folder}/overrides.json`, JSON.stringify(JUPYTERLAB_OVERRIDES));
  return folder;
}
