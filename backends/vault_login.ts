import type { CredentialsBackendError } from "./credentials_backend_error.ts";
import { readEnv } from "./read_env.ts";
import { readVaultFile } from "./read_vault_file.ts";
import type { VaultAnswer, VaultClient } from "./vault_client.ts";
import { vaultLoginFile, vaultTokenVariables } from "./vault_connection.ts";
import { vaultError } from "./vault_error.ts";
import type { VaultAuth, VaultCredentialsBackendOptions } from "./vault_options.ts";
import { encodePath } from "./vault_path.ts";

/** A token for Vault's API. */
export interface VaultToken {
  readonly value: string;
  readonly isRenewable: boolean;
  /** How long it lives, in milliseconds; `undefined` where it has no end or does not tell. */
  readonly ttlMs: number | undefined;
}

const ACTION = "log in to";

/** Logs in by the way that the options give. */
export class VaultLogin {
  readonly #client: VaultClient;
  readonly #options: VaultCredentialsBackendOptions;
  readonly #auth: VaultAuth;

  constructor(client: VaultClient, options: VaultCredentialsBackendOptions) {
    this.#client = client;
    this.#options = options;
    this.#auth = options.auth ?? { method: "token" };
  }

  /**
   * A token.
   *
   * @throws {CredentialsBackendError} `backend_auth_failed`, and as the client's requests.
   */
  async run(): Promise<VaultToken> {
    const auth = this.#auth;
    if (auth.method === "token") return await this.lookUp(this.#givenToken());
    const path = `auth/${encodePath(auth.mount ?? auth.method)}/login`;
    const body = auth.method === "approle"
      ? this.#appRole(auth.roleId, auth.secretId)
      : { role: auth.role, jwt: this.#file() };
    const answer = await this.#client.request({ action: ACTION, method: "POST", path, body });
    return tokenOf(answer) ?? this.#refuse(answer);
  }

  /** A token of the same login that lives longer, or `undefined` where Vault gives none. */
  async renew(token: VaultToken): Promise<VaultToken | undefined> {
    const path = "auth/token/renew-self";
    const request = { action: "renew the login to", method: "POST", path, body: {} } as const;
    return tokenOf(await this.#client.request({ ...request, token: token.value }));
  }

  /** Whether the token is still one; `false` also where its policies do not let it ask. */
  async isLive(value: string): Promise<boolean> {
    return (await this.#ask(value)).status === 200;
  }

  /** What Vault says of a token. It may not be allowed to ask: then nothing is known of its end. */
  async lookUp(value: string): Promise<VaultToken> {
    const { data } = (await this.#ask(value)).body as { data?: Record<string, unknown> };
    const ttl = Number(data?.ttl);
    return {
      value,
      isRenewable: data?.renewable === true,
      ttlMs: ttl > 0 ? ttl * 1000 : undefined,
    };
  }

  /** Whether there may be another token: not where it was handed over once and for all. */
  get canRepeat(): boolean {
    return this.#auth.method !== "token" || this.#auth.tokenFile !== undefined;
  }

  /** The error for a token that Vault does not take any more. */
  ended(action: string): CredentialsBackendError {
    return this.#failed(
      "the Vault token has expired or was revoked, or its policies let it do nothing",
      "Get a new one: vault login, or whoever gives it out.",
      action,
    );
  }

  #ask(token: string): Promise<VaultAnswer> {
    const path = "auth/token/lookup-self";
    return this.#client.request({ action: ACTION, method: "GET", path, token });
  }

  #givenToken(): string {
    const { token, tokenFile } = this.#auth as { token?: string; tokenFile?: string | true };
    const value = token ?? (tokenFile === undefined ? this.#variable() : this.#file());
    if (/^[\x21-\x7e]+$/.test(value)) return value;
    throw this.#failed("the Vault token is no token", "Give it without spaces and line ends.");
  }

  #variable(): string {
    const read = (name: string) => readEnv(name, "log in to Vault");
    const names = vaultTokenVariables(this.#options, read);
    const value = names.map(read).find((text) => text !== undefined);
    if (value !== undefined) return value;
    throw this.#failed(
      "there is no Vault token",
      `Set ${names.join(" or ")}, or pass the option "auth".`,
    );
  }

  #appRole(roleId: string, secretId: string | undefined): Record<string, string> {
    const { secretIdFile } = this.#auth as { secretIdFile?: string };
    const secret = secretIdFile === undefined ? secretId : this.#file();
    return { role_id: roleId, ...(secret !== undefined && { secret_id: secret }) };
  }

  #file(): string {
    const path = vaultLoginFile(this.#auth, (name) => readEnv(name, "find ~/.vault-token"));
    if (path !== undefined) return readVaultFile(path, ACTION, this.#client.place).trim();
    throw this.#failed("the home folder is not known", "Set HOME, or give the file's path.");
  }

  #refuse({ status, words }: VaultAnswer): never {
    const { method } = this.#auth;
    throw this.#failed(
      `it refuses the ${method} login with status ${status}${words}`,
      `Check that the method is mounted, its role, and what was given to log in with.`,
    );
  }

  #failed(reason: string, advice: string, action = ACTION): CredentialsBackendError {
    return vaultError("backend_auth_failed", action, this.#client.place, reason, advice);
  }
}

function tokenOf({ status, body }: VaultAnswer): VaultToken | undefined {
  const auth = body.auth as Record<string, unknown> | null | undefined;
  if (status !== 200 || typeof auth?.client_token !== "string" || !auth.client_token) {
    return undefined;
  }
  const ttl = Number(auth.lease_duration);
  return {
    value: auth.client_token,
    isRenewable: auth.renewable === true,
    ttlMs: ttl > 0 ? ttl * 1000 : undefined,
  };
}
