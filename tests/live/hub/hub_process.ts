import { fromFileUrl } from "@std/path";
import { freePort } from "../../support/servers/free_port.ts";
import { JUPYTERLAB_OVERRIDES } from "../../support/servers/jupyterlab.ts";
import { startServerProcess } from "../../support/servers/server_process.ts";
import type { HubFolder } from "./hub_folder.ts";
import { HubRobot, START_MS } from "./hub_robot.ts";
import { endProcesses, type UnixUser } from "./unix_users.ts";

const CONFIG = fromFileUrl(new URL("./hub_under_test.py", import.meta.url));
const PROXY = "configurable-http-proxy";
/** Runs a program in a folder; what it says is in a file, too, so that it can be searched afterwards. */
const LOGGED = `cd "$0" && exec "\${@:2}" > >(exec tee -a "$1" >&2) 2>&1`;
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
  /** Whether the people's servers go on when the hub is killed, as they do on many hubs. */
  serversStay?: boolean;
}

/** Starts JupyterHub on loopback, with its proxy apart. It reaches no other host. */
export async function startHub(options: HubOptions) {
  const { folder: { path, venv, pathVariable }, users, recipe, port, places, config } = options;
  await using stack = new AsyncDisposableStack();
  const [state, log] = [`${path}/hub`, `${path}/hub.log`];
  await Deno.mkdir(state, { recursive: true, mode: 0o700 });
  await Deno.writeTextFile(log, "", { mode: 0o600 });
  await installKernel(venv);
  const origin = `http://127.0.0.1:${port}`;
  const [hubPort, routesPort] = [freePort(), freePort()];
  const robot = crypto.randomUUID();
  const settings = {
    recipe: fromFileUrl(new URL(`./recipes/${recipe}`, import.meta.url)),
    environment: options.environment,
    ...(places && { places }),
    url: `${origin}/`,
    hub_url: `http://127.0.0.1:${hubPort}`,
    routes_url: `http://127.0.0.1:${routesPort}`,
    ...(config && { config }),
    authenticator: config ? null : "pam",
    users: users.map(({ name }) => name),
    server_ports: Object.fromEntries(users.map(({ name }) => [name, freePort()])),
    server_command: [`${venv}/bin/python`, "-m", "jupyterhub.singleuser"],
    server_args: [`--LabApp.app_settings_dir=${await labSettings(path)}`],
    servers_stay: options.serversStay === true,
    start_seconds: START_MS / 1000,
    log,
    robot,
  };
  const file = `${state}/settings.json`;
  await Deno.writeTextFile(file, JSON.stringify(settings), { mode: 0o600 });
  const env = { CONFIGPROXY_AUTH_TOKEN: crypto.randomUUID(), PATH: pathVariable };
  const logged = (...command: string[]) => ["bash", "-c", LOGGED, state, log, ...command];

  const proxy = await startServerProcess({
    command: logged(
      ...["node", `${venv}/node_modules/${PROXY}/bin/${PROXY}`],
      ...["--ip", "127.0.0.1", "--port", `${port}`],
      ...["--api-ip", "127.0.0.1", "--api-port", `${routesPort}`],
      ...["--error-target", `http://127.0.0.1:${hubPort}/hub/error`],
    ),
    readyOn: "stderr",
    ready: /(Proxy API at)/,
    env,
  });
  stack.defer(() => proxy.end("KILL"));
  const start = () =>
    startServerProcess({
      command: logged(`${venv}/bin/python`, "-m", "jupyterhub", "-f", CONFIG),
      readyOn: "stderr",
      ready: /(JupyterHub is now running)/,
      env: { ...options.env, ...env, HUB_SETTINGS: file },
    });
  let hub = await start();
  stack.defer(async () => {
    // An orderly end waits for each kernel.
    await hub.end("KILL");
    await Promise.all(users.map(({ uid }) => endProcesses(uid)));
  });
  const started = stack.move();
  return {
    origin,
    robot: new HubRobot(origin, robot),
    /** The file in which all that the hub, its proxy and the people's servers say is. */
    log,
    /** The hub's own folder, with its database. */
    state,
    /** Kills the hub itself. The proxy goes on. */
    kill: () => hub.end("KILL"),
    /** Starts it again, with its database. */
    async start(): Promise<void> {
      hub = await start();
    },
    /** Starts the idle culler, by its own command, and waits until it culls somebody. */
    async startCuller(...args: string[]) {
      const culler = await startServerProcess({
        command: [
          ...[`${venv}/bin/python`, "-m", "jupyterhub_idle_culler"],
          ...[`--url=http://127.0.0.1:${hubPort}/hub/api`, "--cull-every=1", ...args],
        ],
        readyOn: "stderr",
        ready: /(Culling)/,
        env: { JUPYTERHUB_API_TOKEN: robot },
      });
      return { [Symbol.asyncDispose]: () => culler.end("KILL") };
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
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
