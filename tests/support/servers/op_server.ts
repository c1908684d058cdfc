import { fromFileUrl } from "@std/path/from-file-url";
import { pythonOf, type PythonVenv } from "./python_venv.ts";
import { serverBinary } from "./server_binary.ts";
import { startServerProcess } from "./server_process.ts";

/** From `zitadel/go.mod`. */
export const ZITADEL_OIDC_VERSION = "3.52.0";
export const AUTHLIB_VERSION = "1.9.10";

/** What `authlib/` needs of Python. */
export const AUTHLIB_VENV: PythonVenv = {
  name: `authlib-${AUTHLIB_VERSION}`,
  installs: [[`Authlib==${AUTHLIB_VERSION}`, "Flask==3.1.3"]],
};

/** The OpenID Providers that are libraries, each in a small program of ours. */
export type OpServerName = "zitadel" | "authlib";

/** Settings of a provider. Each change sets all of them: those that are not named have their default. */
export interface OpSettings {
  /** @default {3600} */
  accessTokenSeconds?: number;
  /** Shorter than the clocks of some tests are off. @default {300} */
  idTokenSeconds?: number;
  /** @default {600} */
  deviceSeconds?: number;
  /** @default {1} */
  interval?: number;
  /** Signed access tokens instead of opaque ones. @default {false} */
  jwt?: boolean;
  /** A new refresh token at each refresh; its predecessor ends the sign-in. @default {true} */
  rotate?: boolean;
  /** Whether answers have a `Date` header. @default {true} */
  date?: boolean;
  /** zitadel/oidc: the router of ZITADEL, or the library's older one. @default {"server"} */
  router?: "server" | "provider";
  /** Authlib: deviations, as `authlib/provider.py` and `authlib/grants.py` describe them. */
  oddities?: AuthlibOddity[];
}

/** A slip that is easy in Python, or a default of Authlib that others do not expect. */
export type AuthlibOddity =
  | "numeric_strings"
  | "ok_errors"
  | "nan"
  | "big_int"
  | "repr"
  | "html_type"
  | "bytes_text"
  | "scope_list"
  | "keys_without_kid"
  | "far_end"
  | "float_times"
  | "number_as_sub"
  | "local_date"
  | "revoked_without_new"
  | "basic_revocation";

/** A provider with clients `public`, `browser`, `disabled`, `secret` and `key`, and one person. */
export interface RunningOp extends AsyncDisposable {
  readonly port: number;
  set(settings: OpSettings): Promise<void>;
  /** The person approves a device code, or denies it. */
  decide(userCode: string, options?: { deny?: boolean }): Promise<void>;
  /** Whether the person approves in the browser from now on, or denies. */
  decideInBrowser(options: { deny: boolean }): Promise<void>;
  endSessions(): Promise<void>;
  disablePerson(): Promise<void>;
  rotateKeys(): Promise<void>;
  /** Whether a refresh token would be taken. It is not used up. */
  hasRefreshToken(token: string): Promise<boolean>;
}

/** A process with any number of providers in it. */
export interface OpServer extends AsyncDisposable {
  /**
   * Starts a provider on a port of its own.
   *
   * @param issuer What it calls itself; requests may come through something else.
   * @param clientKey Public key of the client `key`.
   */
  provider(issuer: string, clientKey?: JsonWebKey): Promise<RunningOp>;
}

/** Secret of the clients `secret` and `resource`. The latter may ask whether tokens are active. */
export const OP_SECRET = "Zq7%/+~ x&=9Kf:w-._!*'()";

/** Starts a program that serves OpenID Providers. */
export async function startOpServer(name: OpServerName): Promise<OpServer> {
  const process = await startServerProcess({
    command: await commandOf(name),
    readyOn: "stdout",
    ready: /^(http:\S+)$/,
    env: { PYTHONDONTWRITEBYTECODE: "1" },
  });
  const control = process.lines[0]!;
  return {
    async provider(issuer, clientKey) {
      const { port } = await call(control, "POST", "/providers", { issuer, clientKey });
      return runningOp(control, port as number);
    },
    [Symbol.asyncDispose]: () => process.end("KILL"),
  };
}

async function commandOf(name: OpServerName): Promise<string[]> {
  if (name === "zitadel") return [await serverBinary("zitadel")];
  const python = await pythonOf(AUTHLIB_VENV);
  if (python === undefined) {
    throw new Error("Cannot start authlib: it is not installed. Run `deno task servers`.");
  }
  return [python, fromFileUrl(new URL("authlib/main.py", import.meta.url))];
}

function runningOp(control: string, port: number): RunningOp {
  const act = (action: string, body?: unknown) =>
    call(control, "POST", `/providers/${port}/${action}`, body);
  return {
    port,
    set: async (settings) => void await act("settings", settings),
    decide: async (userCode, { deny = false } = {}) => void await act("device", { userCode, deny }),
    decideInBrowser: async ({ deny }) => void await act("browser", { deny }),
    endSessions: async () => void await act("end-sessions"),
    disablePerson: async () => void await act("disable-person"),
    rotateKeys: async () => void await act("rotate-keys"),
    hasRefreshToken: async (token) => (await act("refresh-token", { token })).active as boolean,
    async [Symbol.asyncDispose]() {
      await call(control, "DELETE", `/providers/${port}`);
    },
  };
}

async function call(
  control: string,
  method: string,
  path: string,
  body: unknown = {},
): Promise<Record<string, unknown>> {
  const init = method === "POST" ? { method, body: JSON.stringify(body) } : { method };
  const response = await fetch(control + path, init);
  if (!response.ok) throw new Error(`Cannot ${method} ${path}: ${await response.text()}`);
  return await response.json();
}
