import { makeLocalCa } from "../../support/local_ca.ts";
import { tempDir } from "../../support/temp_home.ts";
import { freePort } from "../../support/servers/free_port.ts";
import { serverBinary } from "../../support/servers/servers.ts";
import { startServerProcess } from "../../support/servers/server_process.ts";

/** A person's notebook server as a hub starts it, with jupyter-server-proxy in it. */
export interface NotebookServer extends AsyncDisposable {
  /** `https:`, with a certificate that nobody trusts. */
  readonly origin: string;
  /** The path of the person's server, as the hub's variable `JUPYTERHUB_SERVICE_PREFIX` has it. */
  readonly prefix: string;
  /** The person's word for the server's own sign-in. */
  readonly token: string;
}

/** Starts a notebook server on loopback. */
export async function startNotebookServer(): Promise<NotebookServer> {
  const python = await serverBinary("jupyter-server-proxy");
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await tempDir());
  const { cert, key } = await (await makeLocalCa()).issue(["localhost"]);
  await Deno.writeTextFile(`${path}/cert.pem`, cert);
  await Deno.writeTextFile(`${path}/key.pem`, key);
  const [port, token, prefix] = [freePort(), crypto.randomUUID(), "/user/ada/"];
  const server = await startServerProcess({
    command: [
      python,
      "-m",
      "jupyter_server",
      "--no-browser",
      "--allow-root",
      "--ip=127.0.0.1",
      `--port=${port}`,
      "--ServerApp.port_retries=0",
      `--ServerApp.base_url=${prefix}`,
      `--ServerApp.root_dir=${path}`,
      `--IdentityProvider.token=${token}`,
      `--certfile=${path}/cert.pem`,
      `--keyfile=${path}/key.pem`,
    ],
    readyOn: "stderr",
    ready: /(https:\/\/127\.0\.0\.1:\d+)\//,
    env: {
      HOME: path,
      JUPYTER_CONFIG_DIR: `${path}/config`,
      JUPYTER_DATA_DIR: `${path}/data`,
      JUPYTER_RUNTIME_DIR: `${path}/runtime`,
    },
  });
  stack.defer(() => server.end("TERM"));
  const started = stack.move();
  return {
    origin: `https://127.0.0.1:${port}`,
    prefix,
    token,
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}
