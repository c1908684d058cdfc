import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { isNotCapable, readEnv } from "../common/platform.ts";
import { Once, type Stopwatch, type Timer, untilAborted } from "../common/promises.ts";
import { type PrivateFileOptions, readPrivateFile } from "../common/read_private_file.ts";
import { encodePath, type VaultAnswer, VaultClient, type VaultRequest } from "./client.ts";
import {
  VAULT_TOKEN,
  type VaultAuth,
  vaultConnection,
  type VaultCredentialsBackendOptions,
  vaultLoginFile,
} from "./options.ts";

/** The shortest use of a token before it is renewed: most programs have ended by then. */
const SHORTEST_USE_MS = 30_000;
const TIMEOUT_MS = 15_000;
const MAX_FILE_BYTES = 1024 * 1024;
/** Certificates are no secret: others may read them. */
const CERTIFICATES = { what: "a certificate", forbiddenMode: 0o022 };
/** As in "Cannot {action} Vault …". */
const LOG_IN = "log in to";
const RENEW = { action: LOG_IN, method: "POST", path: "auth/token/renew-self", body: {} } as const;
const LOOK_UP = { action: LOG_IN, method: "GET", path: "auth/token/lookup-self" } as const;
const NO_TOKEN = "there is no Vault token";
const GIVE_TOKEN = `Set ${VAULT_TOKEN}, or give "auth" in the options of the store.`;
/** The capabilities of a policy by the request. */
const CAPABILITIES = { GET: "read", POST: "create and update", DELETE: "delete" };

interface Held {
  /** `undefined` where a Vault Agent or Proxy on this host adds its own. */
  readonly token: string | undefined;
  /** The time of its renewal, by the stopwatch. */
  readonly renewAt: number;
}

/** Requests with a token that is obtained, renewed and replaced as needed. */
export class VaultSession {
  readonly #client: VaultClient;
  readonly #auth: VaultAuth;
  readonly #now: Stopwatch;
  readonly #held = new Once<Held>();

  constructor(client: VaultClient, auth: VaultAuth = { method: "token" }, now: Stopwatch) {
    this.#client = client;
    this.#auth = auth;
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
    const held = await untilAborted(this.#current(), request.signal);
    const answer = await this.#client.request({ ...request, token: held.token });
    if (answer.status !== 403) return answer;
    if (await this.#isLive(held)) throw this.#denied(request, answer);
    const next = await untilAborted(this.#replace(held), request.signal);
    if (next.token === undefined) {
      const agent = `${GIVE_TOKEN} A Vault Agent at this address needs a login of its own.`;
      throw this.#failed(NO_TOKEN, agent, request.action);
    }
    if (next.token === held.token) {
      throw this.#failed(
        `the Vault token has expired or was revoked, or its policies let it do nothing${answer.words}`,
        "Get a new one: vault login, or whoever gives it out.",
        request.action,
      );
    }
    const second = await this.#client.request({ ...request, token: next.token });
    if (second.status === 403) throw this.#denied(request, second);
    return second;
  }

  close(): void {
    this.#held.forget();
    this.#client.close();
  }

  /** One login or renewal at a time, for all requests that wait for it. */
  async #current(): Promise<Held> {
    const current = this.#held.get(() => this.#logIn());
    const held = await current;
    if (this.#now() < held.renewAt) return held;
    if (this.#held.kept === current) this.#held.keep(this.#renew(held));
    return await this.#current();
  }

  /** A token in place of one that has ended, unless another request has replaced it already. */
  async #replace(ended: Held): Promise<Held> {
    const current = this.#held.kept;
    const isEnded = await current === ended && this.#held.kept === current;
    return await (isEnded ? this.#held.keep(this.#logIn()) : this.#current());
  }

  async #logIn(): Promise<Held> {
    const auth = this.#auth;
    if (auth.method === "token") return this.#hold(this.#givenToken());
    const path = `auth/${encodePath(auth.mount ?? auth.method)}/login`;
    const body = auth.method === "approle"
      ? { role_id: auth.roleId, secret_id: auth.secretIdFile ? this.#file() : auth.secretId }
      : { role: auth.role, jwt: this.#file() };
    const answer = await this.#client.request({ action: LOG_IN, method: "POST", path, body });
    const held = this.#heldOf(answer);
    if (held !== undefined) return held;
    // Without a mount Vault asks for a token, or knows no such path.
    const mount = answer.status === 400 ? "" : `that ${path.replace(/\/login$/, "")} is mounted, `;
    throw this.#failed(
      `it refuses the ${auth.method} login with status ${answer.status}${answer.words}`,
      `Check ${mount}the role, and whether what was given to log in with has ended.`,
    );
  }

  /** A token that cannot be renewed is used until Vault refuses it. */
  async #renew(held: Held): Promise<Held> {
    try {
      const answer = await this.#client.request({ ...RENEW, token: held.token });
      return this.#heldOf(answer) ?? { ...held, renewAt: Infinity };
    } catch {
      return this.#hold(held.token); // Vault may not serve now
    }
  }

  /** Whether the token is valid; `false` also where its policies do not let it ask. */
  async #isLive(held: Held): Promise<boolean> {
    return (await this.#client.request({ ...LOOK_UP, token: held.token })).status === 200;
  }

  #heldOf({ status, body }: VaultAnswer): Held | undefined {
    const { client_token: token, lease_duration } = (body.auth ?? {}) as Record<string, unknown>;
    if (status !== 200 || typeof token !== "string" || token === "") return undefined;
    return this.#hold(token, Number(lease_duration) * 1000 || 0);
  }

  /** A token is renewed after two thirds of its life, where that is known. */
  #hold(token: string | undefined, ttlMs = 0): Held {
    const useMs = token === undefined ? Infinity : Math.max(ttlMs * 2 / 3, SHORTEST_USE_MS);
    return { token, renewAt: this.#now() + useMs };
  }

  #givenToken(): string | undefined {
    const { token, tokenFile } = this.#auth as { token?: string; tokenFile?: string };
    const given = token ?? (tokenFile ? this.#file() : readEnv(VAULT_TOKEN, "log in to Vault"));
    if (given === undefined && this.#client.isLocal) return undefined;
    if (given !== undefined && /^[\x21-\x7e]+$/.test(given)) return given;
    throw this.#failed(`${NO_TOKEN}, or it has a space or a line end`, GIVE_TOKEN);
  }

  #file(): string {
    const how = { what: "a token", forbiddenMode: 0o027 };
    return readVaultFile(vaultLoginFile(this.#auth)!, LOG_IN, this.place, how).trim();
  }

  #failed(reason: string, advice: string, action = LOG_IN): CredentialsBackendError {
    const message = `Cannot ${action} ${this.place}: ${reason}. ${advice}`;
    return new CredentialsBackendError("backend_auth_failed", message);
  }

  #denied({ action, method, path }: VaultRequest, { words }: VaultAnswer): CredentialsBackendError {
    const capability = path.endsWith("?list=true") ? "list" : CAPABILITIES[method];
    const [secret = ""] = path.split("/?");
    return new CredentialsBackendError(
      "backend_denied",
      `Cannot ${action} ${this.place}: the policies of the Vault token do not allow ${capability} ` +
        `of ${decodeURI(secret)}${words}. Have them allow what the documentation of ` +
        `VaultCredentialsBackend lists, for this mount, path and namespace.`,
    );
  }
}

/** Logs in, and finds out whether the mount can be used. */
export async function openVault(
  options: VaultCredentialsBackendOptions,
  timer: Timer,
): Promise<VaultSession> {
  const { timeoutMs = TIMEOUT_MS, mount = "secret", fetch: given = fetch } = options;
  const connection = vaultConnection(options);
  const { caCert, address } = connection;
  const pem = caCert === undefined
    ? undefined
    : readVaultFile(caCert, "use", `Vault at ${address.host}`, CERTIFICATES);
  const client = new VaultClient(connection, pem, { fetch: given, timer, timeoutMs });
  const session = new VaultSession(client, options.auth, timer.now);
  try {
    await assertVersion2(session, mount);
    return session;
  } catch (error) {
    session.close();
    throw error;
  }
}

/**
 * Refuses a mount of another engine, or of version 1, which would answer as if nothing were stored. It is
 * the request that `vault kv` makes; every token may make it for a mount that it has any right to.
 */
async function assertVersion2(session: VaultSession, mount: string): Promise<void> {
  const action = "use";
  const path = `sys/internal/ui/mounts/${encodePath(mount)}`;
  const answer = await session.request({ action, method: "GET", path });
  if (answer.status !== 200) throw unexpected(action, session.place, answer);
  const { type, path: root, options } = answer.data;
  const isKv = (type === "kv" || type === "generic") && root === `${mount}/`;
  if (isKv && (options as { version?: unknown } | null)?.version === "2") return;
  const advice = isKv
    ? `It is of version 1. Run: vault kv enable-versioning ${mount}/`
    : `Give the mount alone in the option "mount", and what comes after it in "path".`;
  throw new CredentialsBackendError(
    "invalid_options",
    `Cannot ${action} ${session.place}: "${mount}" is not the mount of a KV secrets engine of ` +
      `version 2. ${advice}`,
  );
}

/** The error for an answer that is neither a success nor a known refusal. */
export function unexpected(
  action: string,
  place: string,
  { status, words }: VaultAnswer,
): CredentialsBackendError {
  return new CredentialsBackendError(
    "backend_unavailable",
    `Cannot ${action} ${place}: it answers with status ${status}${words}. Check the address, the ` +
      `mount and the path. Nothing that is stored is lost.`,
  );
}

/** The text of a file that the connection or the login needs. */
function readVaultFile(
  path: string,
  action: string,
  place: string,
  how: Pick<PrivateFileOptions, "what" | "forbiddenMode">,
): string {
  return readPrivateFile(path, {
    ...how,
    maxBytes: MAX_FILE_BYTES,
    fail: (reason, advice, cause) =>
      new CredentialsBackendError(
        isNotCapable(cause) ? "permission_required" : "backend_auth_failed",
        `Cannot ${action} ${place}: the file ${path} cannot be used: ${reason}. ${advice}`,
      ),
  });
}
