import type { KernelHome } from "../jupyter.ts";
import { freePort } from "./free_port.ts";
import { serverBinary } from "./servers.ts";
import { startServerProcess } from "./server_process.ts";

/** Settings of the front end that keep it from what a person would have to close. */
export const JUPYTERLAB_OVERRIDES = {
  "@jupyterlab/apputils-extension:notification": { fetchNews: "false", checkForUpdates: false },
};

/**
 * Starts JupyterLab on loopback, without a password. It reaches no other host. `overrides` are further
 * settings of the front end, such as its theme. Its folder is the kernel's home.
 */
export async function startJupyterLab(
  { path, env }: KernelHome,
  overrides: Record<string, unknown> = {},
) {
  const python = await serverBinary("jupyterlab");
  const settings = `${path}/lab-settings`;
  await Deno.mkdir(settings, { recursive: true });
  const all = JSON.stringify({ ...JUPYTERLAB_OVERRIDES, ...overrides });
  await Deno.writeTextFile(`${settings}/overrides.json`, all);
  const port = freePort();
  const server = await startServerProcess({
    command: [
      python,
      "-m",
      "jupyterlab",
      "--no-browser",
      "--allow-root",
      "--ip=127.0.0.1",
      `--port=${port}`,
      "--ServerApp.port_retries=0",
      `--ServerApp.root_dir=${path}`,
      "--IdentityProvider.token=",
      "--ServerApp.disable_check_xsrf=True",
      `--LabApp.app_settings_dir=${settings}`,
      "--LabApp.extension_manager=readonly",
    ],
    readyOn: "stderr",
    ready: /(http:\/\/127\.0\.0\.1:\d+)\/lab/,
    env: { ...env, JUPYTER_CONFIG_DIR: `${path}/config`, CI: "" }, // a person is asked
  });
  return {
    /** The address of a notebook of that folder, without what was open before. */
    addressOf: (notebook: string) =>
      `http://127.0.0.1:${port}/lab/tree/${encodeURIComponent(notebook)}?reset`,
    async [Symbol.asyncDispose]() {
      const api = `http://127.0.0.1:${port}/api/kernels`;
      await endKernels(api).catch(() => undefined); // it was seen to answer nothing any more
      await server.end("TERM");
    },
  };
}

/** A Deno kernel outlives its server, and keeps the server's standard error open. */
async function endKernels(api: string): Promise<void> {
  const signal = AbortSignal.timeout(30_000);
  const kernels: { id: string }[] = await (await fetch(api, { signal })).json();
  for (const { id } of kernels) {
    const answer = await fetch(`${api}/${id}`, { method: "DELETE", signal });
    await answer.body?.cancel();
  }
}
