import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { isDeno, isNotCapable, permissionFlag, readEnv } from "../common/platform.ts";
import { Once, type Stopwatch, untilAborted } from "../common/promises.ts";
import type { VaultClient } from "./client.ts";
import { vaultLoginFile, vaultTokenVariables } from "./connection.ts";
import { encodePath, type VaultAnswer, type VaultRequest } from "./error.ts";
import type { VaultAppRoleAuth, VaultAuth, VaultCredentialsBackendOptions } from "./options.ts";

/** Node's, by its global: Deno would read `node:fs` ahead for every start. */
declare const process: {
  getBuiltinModule(name: "node:fs"): { readFileSync(path: string, encoding: "utf8"): string };
};

interface VaultToken {
  readonly value: string;
  readonly isRenewable: boolean;
  /** Its remaining life in milliseconds; `undefined` where that has no end or is unknown. */
  readonly ttlMs: number | undefined;
  /** Whether it was given, and Vault was not asked for its life yet. */
  readonly isUnasked?: boolean;
}

/** Use of a given token after which Vault is asked for its life: most programs have ended by then. */
const ASK_AFTER_MS = 30_000;

/** As in "Cannot {action} Vault …". */
const LOG_IN = "log in to";

interface Held {
  token: VaultToken;
  /** The time of its renewal, by the stopwatch. */
  renewAt: number;
  endsAt: number;
}

/** Requests with a token that is obtained, renewed and replaced as needed. */
export class VaultSession {
  readonly #client: VaultClient;
  readonly #login: VaultLogin;
  readonly #now: Stopwatch;
  readonly #held = new Once<Held>();

  constructor(client: VaultClient, login: VaultLogin, now: Stopwatch) {
    this.#client = client;
    this.#login = login;
    this.#now = now;
  }

  get place(): string {
    return this.#client.place;
  }

  /**
   * The answer. Vault answers 403 both for a token that has ended and for a denial by a policy. A token
   * that has ended is replaced once, and the request is sent once more.
   */
  async request(request: VaultRequest): Promise<VaultAnswer> {
    const held = await untilAborted(this.#token(), request.signal);
    const answer = await this.#send(request, held);
    if (answer.status !== 403) return answer;
    if (await this.#login.isLive(held.token.value)) throw this.#denied(request);
    const next = await untilAborted(this.#replace(held), request.signal);
    if (next.token.value === held.token.value) throw this.#login.ended(request.action);
    const second = await this.#send(request, next);
    if (second.status === 403) throw this.#denied(request);
    return second;
  }

  close(): void {
    this.#held.forget();
    this.#client.close();
  }

  #send(request: VaultRequest, { token }: Held): Promise<VaultAnswer> {
    return this.#client.request({ ...request, token: token.value });
  }

  /** One login or renewal at a time, for all requests that wait for it. */
  async #token(): Promise<Held> {
    const current = this.#held.get(() => this.#logIn());
    const held = await current;
    if (this.#now() < held.renewAt) return held;
    if (this.#held.kept === current) this.#held.keep(this.#prolong(held));
    return await this.#token();
  }

  /** A token in place of one that has ended, unless another request has replaced it already. */
  async #replace(ended: Held): Promise<Held> {
    const current = this.#held.kept;
    const held = await current;
    if (held !== undefined && held !== ended) return held;
    if (this.#held.kept !== current) return await this.#replace(ended);
    return await this.#held.keep(this.#logIn());
  }

  async #logIn(): Promise<Held> {
    return this.#hold(await this.#login.run());
  }

  async #prolong(held: Held): Promise<Held> {
    try {
      return await this.#next(held);
    } catch (error) {
      const leftMs = held.endsAt - this.#now();
      if (leftMs <= 0) throw error;
      const waitMs = Math.min(leftMs / 2, held.token.isUnasked ? ASK_AFTER_MS : Infinity);
      return { ...held, renewAt: this.#now() + waitMs }; // it is still valid
    }
  }

  async #next(held: Held): Promise<Held> {
    if (held.token.isUnasked) return this.#hold(await this.#login.lookUp(held.token.value));
    const renewed = held.token.isRenewable ? await this.#login.renew(held.token) : undefined;
    const next = renewed && this.#hold(renewed);
    // Vault counts whole seconds: a gain of less than one is none.
    if (next && next.endsAt > held.endsAt + 1000) return next;
    // Not renewable, or at the end of its longest life.
    if (this.#login.canRepeat) return await this.#logIn();
    return { ...held, renewAt: Infinity };
  }

  /** The token is renewed after two thirds of its life. */
  #hold(token: VaultToken): Held {
    const { ttlMs = Infinity, isUnasked } = token;
    const waitMs = isUnasked ? ASK_AFTER_MS : ttlMs * 2 / 3;
    return { token, renewAt: this.#now() + waitMs, endsAt: this.#now() + ttlMs };
  }

  #denied({ action }: VaultRequest): CredentialsBackendError {
    return new CredentialsBackendError(
      "backend_denied",
      `Cannot ${action} ${this.place}: the policies of the Vault token do not allow it. Have them ` +
        `allow what the documentation of VaultCredentialsBackend lists, for this mount, path and ` +
        `namespace.`,
    );
  }
}

export class VaultLogin {
  readonly #client: VaultClient;
  readonly #options: VaultCredentialsBackendOptions;
  readonly #auth: VaultAuth;

  constructor(client: VaultClient, options: VaultCredentialsBackendOptions) {
    this.#client = client;
    this.#options = options;
    this.#auth = options.auth ?? { method: "token" };
  }

  async run(): Promise<VaultToken> {
    const auth = this.#auth;
    if (auth.method === "token") {
      return { value: this.#givenToken(), isRenewable: false, ttlMs: undefined, isUnasked: true };
    }
    const path = `auth/${encodePath(auth.mount ?? auth.method)}/login`;
    const body = auth.method === "approle"
      ? this.#appRole(auth)
      : { role: auth.role, jwt: this.#file() };
    const answer = await this.#client.request({ action: LOG_IN, method: "POST", path, body });
    const token = tokenOf(answer);
    if (token !== undefined) return token;
    throw this.#failed(
      `it refuses the ${auth.method} login with status ${answer.status}${answer.words}`,
      `Check that the method is mounted, its role, and what was given to log in with.`,
    );
  }

  /** A token of the same login with a longer life; `undefined` where Vault gives none. */
  async renew(token: VaultToken): Promise<VaultToken | undefined> {
    const path = "auth/token/renew-self";
    const request = { action: "renew the login to", method: "POST", path, body: {} } as const;
    return tokenOf(await this.#client.request({ ...request, token: token.value }));
  }

  /** Whether the token is valid; `false` also where its policies do not let it ask. */
  async isLive(value: string): Promise<boolean> {
    return (await this.#ask(value)).status === 200;
  }

  /** A token with its life. Its policies may not let it ask: then its end is unknown. */
  async lookUp(value: string): Promise<VaultToken> {
    const { data } = (await this.#ask(value)).body as { data?: Record<string, unknown> };
    return { value, isRenewable: data?.renewable === true, ttlMs: toMs(data?.ttl) };
  }

  /** Whether a new login can give another token: not with a token that an option or variable gave. */
  get canRepeat(): boolean {
    return this.#auth.method !== "token" || this.#auth.tokenFile !== undefined;
  }

  /** The error for a token that Vault no longer accepts. */
  ended(action: string): CredentialsBackendError {
    return this.#failed(
      "the Vault token has expired or was revoked, or its policies let it do nothing",
      "Get a new one: vault login, or whoever gives it out.",
      action,
    );
  }

  #ask(token: string): Promise<VaultAnswer> {
    const path = "auth/token/lookup-self";
    return this.#client.request({ action: LOG_IN, method: "GET", path, token });
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
    const advice = `Set ${names.join(" or ")}, or pass the option "auth".`;
    throw this.#failed("there is no Vault token", advice);
  }

  #appRole({ roleId, secretId, secretIdFile }: VaultAppRoleAuth): Record<string, string> {
    const secret = secretIdFile === undefined ? secretId : this.#file();
    return { role_id: roleId, ...(secret !== undefined && { secret_id: secret }) };
  }

  #file(): string {
    const path = vaultLoginFile(this.#auth, (name) => readEnv(name, "find ~/.vault-token"));
    if (path !== undefined) return readVaultFile(path, LOG_IN, this.#client.place).trim();
    throw this.#failed("the home folder is not known", "Set HOME, or give the file's path.");
  }

  #failed(reason: string, advice: string, action = LOG_IN): CredentialsBackendError {
    const message = `Cannot ${action} ${this.#client.place}: ${reason}. ${advice}`;
    return new CredentialsBackendError("backend_auth_failed", message);
  }
}

function tokenOf({ status, body }: VaultAnswer): VaultToken | undefined {
  const auth = body.auth as Record<string, unknown> | null | undefined;
  if (status !== 200 || typeof auth?.client_token !== "string" || !auth.client_token) {
    return undefined;
  }
  const isRenewable = auth.renewable === true;
  return { value: auth.client_token, isRenewable, ttlMs: toMs(auth.lease_duration) };
}

function toMs(seconds: unknown): number | undefined {
  return Number(seconds) > 0 ? Number(seconds) * 1000 : undefined;
}

/** The text of a file that the connection or the login needs. */
export function readVaultFile(path: string, action: string, place: string): string {
  try {
    return isDeno
      ? Deno.readTextFileSync(path)
      : process.getBuiltinModule("node:fs").readFileSync(path, "utf8");
  } catch (error) {
    if (isNotCapable(error)) {
      throw new CredentialsBackendError(
        "permission_required",
        `Cannot ${action} ${place}: Deno does not permit to read ${path}. Run with: ` +
          permissionFlag("read", path),
      );
    }
    const isAbsent = (error as { code?: unknown } | null)?.code === "ENOENT";
    const reason = isAbsent ? "is not there" : "cannot be read";
    throw new CredentialsBackendError(
      "backend_auth_failed",
      `Cannot ${action} ${place}: the file ${path} ${reason}. Check its path, owner and mode.`,
    );
  }
}
