import { hasChromium } from "../chromium.ts";
import { hasJupyter } from "../jupyter.ts";
import { whyNoAccounts } from "../run_denied.ts";
import { JUPYTER_SERVER_PROXY_VENV } from "./jupyter_server_proxy.ts";
import { JUPYTERHUB_VENV } from "./jupyterhub.ts";
import { JUPYTERLAB_VENV } from "./jupyterlab.ts";
import { AUTHLIB_VENV } from "./op_server.ts";
import { PYTHON_KEYRING_VENV } from "./python_keyring.ts";
import { PYTHON_LIBRARY_VENV } from "./python_library.ts";
import { pythonOf, type PythonVenv } from "./python_venv.ts";
import { isOnPath, isThere, type ServerName, serverPath } from "./server_binary.ts";

/** What tests against real servers need of the machine. */
export type LiveNeed =
  | ServerName
  | "accounts"
  | "authlib"
  | "jupyter-server-proxy"
  | "jupyterhub"
  | "jupyterlab"
  | "keyring"
  | "openssl"
  | "pass"
  | "python-keyring"
  | "validmind-library";

/** Environments of Python, by the need that they serve. */
const VENVS: Partial<Record<LiveNeed, PythonVenv>> = {
  authlib: AUTHLIB_VENV,
  "jupyter-server-proxy": JUPYTER_SERVER_PROXY_VENV,
  jupyterhub: JUPYTERHUB_VENV,
  jupyterlab: JUPYTERLAB_VENV,
  "python-keyring": PYTHON_KEYRING_VENV,
  "validmind-library": PYTHON_LIBRARY_VENV,
};
/** Those that are not looked at in Chromium. */
const UNSEEN: readonly LiveNeed[] = ["authlib", "python-keyring", "validmind-library"];

/** Programs of Debian's packages, by the need that they serve. */
const PROGRAMS: Partial<Record<LiveNeed, readonly string[]>> = {
  keyring: ["gnome-keyring-daemon", "dbus-daemon", "dbus-send", "secret-tool"],
  openssl: ["openssl"],
  pass: ["pass", "gpg"],
};

type TestFunction = Deno.TestDefinition["fn"];
type TestOptions = Omit<Deno.TestDefinition, "name" | "fn">;

/** Registers the tests of one file that need servers. */
export interface LiveTests {
  /** Whether something is missing. Then each test is ignored, with the reason in its name. */
  readonly ignore: boolean;
  /** Registers a test, as `Deno.test` does. */
  test(definition: Deno.TestDefinition): void;
  test(name: string, fn: TestFunction): void;
  test(name: string, options: TestOptions, fn: TestFunction): void;
  /**
   * Makes what the tests share. Where they are ignored it makes nothing: only they may use the
   * result.
   */
  shared<T>(make: () => T | Promise<T>): Promise<T>;
  /** `Deno.test.afterAll`, for what was made. */
  afterAll(fn: () => void | Promise<void>): void;
}

/** Looks whether all that the tests of a file need is there. */
export async function liveTests(...needs: LiveNeed[]): Promise<LiveTests> {
  const missing = (await Promise.all(needs.map(missingFor))).flat();
  const ignore = missing.length > 0;
  const reason = ` (there is no ${missing.join(", ")}: run \`deno task servers\`)`;
  const ignored = (what: string | Deno.TestDefinition) =>
    Deno.test({
      name: (typeof what === "string" ? what : what.name) + reason,
      ignore: true,
      fn() {},
    });
  return {
    ignore,
    test: ignore ? ignored : Deno.test,
    shared: async <T>(make: () => T | Promise<T>) => ignore ? undefined as T : await make(),
    afterAll(fn): void {
      if (!ignore) Deno.test.afterAll(fn);
    },
  };
}

async function missingFor(need: LiveNeed): Promise<string[]> {
  if (need === "accounts") return whyNoAccounts === undefined ? [] : ["root with useradd"];
  const venv = VENVS[need];
  if (venv !== undefined) {
    const isMade = await pythonOf(venv) !== undefined;
    const browsing = UNSEEN.includes(need)
      ? []
      : [["chromium", hasChromium], ["jupyter", hasJupyter]];
    return [[need, isMade], ...browsing].flatMap(([name, isHere]) => isHere ? [] : [String(name)]);
  }
  const programs = PROGRAMS[need];
  if (programs === undefined) {
    const isHere = await isThere(await serverPath(need as ServerName));
    if (need === "keycloak" && isHere) return await isOnPath("java") ? [] : ["java"];
    return isHere ? [] : [need];
  }
  const found = await Promise.all(programs.map(isOnPath));
  return programs.filter((_, index) => !found[index]);
}
