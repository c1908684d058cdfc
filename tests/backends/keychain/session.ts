import { backendUrl, runDeno, type RunDenoOptions } from "../../support/deno_process.ts";
import type { KeyringSession } from "../../support/servers/keyring_session.ts";

/** What every script of these tests has at hand. */
const PRELUDE = `
  import { KeychainCredentialsBackend } from "${backendUrl("keychain.ts")}";

  /** How a call ended: "ok", or the code and the words of its error. */
  async function outcome(call) {
    try {
      await call();
      return "ok";
    } catch (error) {
      return \`\${error.code} \${error.message}\`;
    }
  }
  const entry = (clientId, fields = {}) =>
    ({ issuer: "https://login.example.com", client_id: clientId, access_token: "small", ...fields });
`;

/** A script of a test in this session: what it needs beside the prelude. */
export function inSession(code: string): string {
  return `${PRELUDE}\n${code}`;
}

/** Runs a script in the session, and gives what it printed, as JSON. */
export async function runInSession(
  session: KeyringSession,
  code: string,
  options: Omit<RunDenoOptions, "code" | "file"> = {},
): Promise<unknown> {
  const { env = {}, flags = ["-A"], ...rest } = options;
  const { stdout, stderr } = await runDeno({
    code: inSession(code),
    flags,
    env: { ...session.env, ...env },
    ...rest,
  });
  if (stdout === "") throw new Error(`The script printed nothing: ${stderr}`);
  return JSON.parse(stdout);
}
