import { JUPYTER_SERVER_PROXY_VERSION } from "./jupyter_server_proxy.ts";
import { JUPYTERLAB_VERSION } from "./jupyterlab.ts";
import { PYTHON_LIBRARY_VERSION } from "./python_library.ts";
import type { PythonVenv } from "./python_venv.ts";

/** The release of JupyterHub that the tests start. */
export const JUPYTERHUB_VERSION = "6.1.1";

/** The last release of the hub's proxy that asks for no newer Node than 20. */
export const HTTP_PROXY_VERSION = "5.2.0";

/**
 * A hub, the JupyterLab of its people with jupyter-server-proxy in it, and the storage code of the
 * ValidMind Python library for their Python kernel. One environment serves all of them, as on a hub of
 * one machine.
 */
export const JUPYTERHUB_VENV: PythonVenv = {
  name: `jupyterhub-${JUPYTERHUB_VERSION}-lab-${JUPYTERLAB_VERSION}`,
  // The people's own servers run on it, so that it cannot be one in somebody's home.
  python: "/usr/bin/python3",
  installs: [
    [
      `jupyterhub==${JUPYTERHUB_VERSION}`,
      `jupyterlab==${JUPYTERLAB_VERSION}`,
      `jupyter-server-proxy==${JUPYTER_SERVER_PROXY_VERSION}`,
      "pyjwt[crypto]",
      "requests",
    ],
    ["--no-deps", `validmind==${PYTHON_LIBRARY_VERSION}`],
  ],
  npm: [`configurable-http-proxy@${HTTP_PROXY_VERSION}`],
};
