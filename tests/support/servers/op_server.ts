import { serverBinary } from "./servers.ts";
import { startServerProcess } from "./server_process.ts";

/** From `zitadel/go.mod`. */
export const ZITADEL_OIDC_VERSION = "3.52.0";

/** A provider with clients `public`, `browser`, `disabled`, `secret` and `key`, and one person. */
export interface RunningOp extends AsyncDisposable {
  readonly port: number;
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

/** Starts the program on zitadel/oidc, which serves providers. */
export async function startOpServer(): Promise<OpServer> {
  const process = await startServerProcess({
    command: [await serverBinary("zitadel")],
    readyOn: "stdout",
    ready: /^(http:\S+)$/,
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

function runningOp(control: string, port: number): RunningOp {
  const act = (action: string, body?: unknown) =>
    call(control, "POST", `/providers/${port}/${action}`, body);
  return {
    port,
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
