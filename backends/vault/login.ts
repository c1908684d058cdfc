import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { isNotCapable, readEnv } from "../common/platform.ts";
import { type PrivateFileOptions, readPrivateFile } from "../common/read_private_file.ts";
import type { VaultClient } from "./client.ts";
import { vaultLoginFile, vaultTokenVariables } from "./connection.ts";
import { encodePath, type VaultAnswer } from "./error.ts";
import type { VaultAuth, VaultCredentialsBackendOptions } from "./options.ts";

export interface VaultToken {
  readonly value: string;
  /** Its remaining life in milliseconds. */
  readonly ttlMs: number;
}

const MAX_FILE_BYTES = 1024 * 1024;
/** As in "Cannot {action} Vault …". */
const ACTION = "log in to";

/** A token by the login of the options. One that was given is a text alone: its life is not known. */
export async function logIn(
  client: VaultClient,
  options: VaultCredentialsBackendOptions,
): Promise<VaultToken | string> {
  const { auth = { method: "token" } } = options;
  if (auth.method === "token") return givenToken(client, options);
  const path = `auth/${encodePath(auth.mount ?? auth.method)}/login`;
  const body = loginBody(client, auth);
  const answer = await client.request({ action: ACTION, method: "POST", path, body });
  const token = tokenOf(answer);
  if (token !== undefined) return token;
  throw failed(
    client,
    `it refuses the ${auth.method} login with status ${answer.status}${answer.words}`,
    `Check that the method is mounted, its role, and what was given to log in with.`,
  );
}

/** A token of the same login with a longer life; `undefined` where Vault gives none. */
export async function renew(client: VaultClient, token: string): Promise<VaultToken | undefined> {
  const path = "auth/token/renew-self";
  const request = { action: "renew the login to", method: "POST", path, body: {}, token } as const;
  return tokenOf(await client.request(request));
}

/** Whether the token is valid; `false` also where its policies do not let it ask. */
export async function isLive(client: VaultClient, token: string): Promise<boolean> {
  const path = "auth/token/lookup-self";
  return (await client.request({ action: ACTION, method: "GET", path, token })).status === 200;
}

function givenToken(
  client: VaultClient,
  options: VaultCredentialsBackendOptions,
): string {
  const { token, tokenFile } = (options.auth ?? {}) as {
    token?: string;
    tokenFile?: string | true;
  };
  const value = token ??
    (tokenFile === undefined ? variable(client, options) : file(client, options.auth!));
  if (/^[\x21-\x7e]+$/.test(value)) return value;
  throw failed(client, "the Vault token is no token", "Give it without spaces and line ends.");
}

function variable(client: VaultClient, options: VaultCredentialsBackendOptions): string {
  const read = (name: string) => readEnv(name, "log in to Vault");
  const names = vaultTokenVariables(options, read);
  const value = names.map(read).find((text) => text !== undefined);
  if (value !== undefined) return value;
  const advice = `Set ${names.join(" or ")}, or pass the option "auth".`;
  throw failed(client, "there is no Vault token", advice);
}

function loginBody(
  client: VaultClient,
  auth: Exclude<VaultAuth, { method: "token" }>,
): Record<string, string> {
  if (auth.method !== "approle") return { role: auth.role, jwt: file(client, auth) };
  const { roleId, secretId, secretIdFile } = auth;
  const secret = secretIdFile === undefined ? secretId : file(client, auth);
  return { role_id: roleId, ...(secret !== undefined && { secret_id: secret }) };
}

function file(client: VaultClient, auth: VaultAuth): string {
  const path = vaultLoginFile(auth, (name) => readEnv(name, "find ~/.vault-token"));
  if (path !== undefined) return readVaultFile(path, ACTION, client.place).trim();
  throw failed(client, "the home folder is not known", "Set HOME, or give the file's path.");
}

function tokenOf({ status, body }: VaultAnswer): VaultToken | undefined {
  const auth = body.auth as { client_token?: unknown; lease_duration?: unknown } | null | undefined;
  if (status !== 200 || typeof auth?.client_token !== "string" || !auth.client_token) {
    return undefined;
  }
  return { value: auth.client_token, ttlMs: Number(auth.lease_duration) * 1000 || Infinity };
}

function failed(client: VaultClient, reason: string, advice: string): CredentialsBackendError {
  const message = `Cannot ${ACTION} ${client.place}: ${reason}. ${advice}`;
  return new CredentialsBackendError("backend_auth_failed", message);
}

/** The text of a file that the connection or the login needs. */
export function readVaultFile(
  path: string,
  action: string,
  place: string,
  how: Partial<PrivateFileOptions> = { what: "a token", groupMayRead: true },
): string {
  return readPrivateFile(path, {
    what: "a token",
    maxBytes: MAX_FILE_BYTES,
    ...how,
    fail: (reason, advice, cause) =>
      new CredentialsBackendError(
        isNotCapable(cause) ? "permission_required" : "backend_auth_failed",
        `Cannot ${action} ${place}: the file ${path} cannot be used: ${reason}. ${advice}`,
      ),
  });
}
