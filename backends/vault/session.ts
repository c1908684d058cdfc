import { readEnv } from "../common/environment.ts";
import { Once, type Stopwatch, type Timer, untilAborted } from "../common/promises.ts";
import { encodePath, type VaultAnswer, VaultClient, type VaultRequest } from "./client.ts";
import {
  VAULT_TOKEN,
  type VaultAuth,
  vaultConnection,
  type VaultCredentialsBackendOptions,
  vaultLoginFile,
  type VaultTokenAuth,
} from "./options.ts";

/** The shortest use of a token before it is renewed: most programs have ended by then. */
const SHORTEST_USE_MS = 30_000;
/** As in "Cannot {action} Vault …". */
const LOG_IN = "log in to";
const RENEW = { action: LOG_IN, method: "POST", path: "auth/token/renew-self", body: {} } as const;
const LOOK_UP = { action: LOG_IN, method: "GET", path: "auth/token/lookup-self" } as const;
const GIVE_TOKEN = `Set ${VAULT_TOKEN}, or give "auth" in the options of the store.`;
/** The capabilities of a policy by the request. */
const CAPABILITIES = { GET: "read", POST: "create and update" };

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

  /**
   * The answer. Vault answers 403 both for a token that has ended and for a denial by a policy. A token
   * that has ended is replaced once, and the request is sent once more.
   */
  async request(request: VaultRequest): Promise<VaultAnswer> {
    const held = await untilAborted(this.#current(), request.signal);
    const answer = await this.#client.request({ ...request, token: held.token });
    if (answer.status !== 403) return answer;
    if (await this.#isLive(held)) throw this.#denied(request, answer);
    const next = await untilAborted(this.#current(held), request.signal);
    if (next.token === held.token) {
      throw this.#failed(
        `there is no Vault token, it has expired or was revoked, or its policies allow nothing` +
          answer.words,
        `Get a new one, for example with: vault login. ${this.#wayOfToken()} A Vault Agent at this ` +
          "address needs a login of its own.",
        request.action,
      );
    }
    const second = await this.#client.request({ ...request, token: next.token });
    if (second.status === 403) throw this.#denied(request, second);
    return second;
  }

  /** The answer, if it is one that is known. */
  async ask(
    request: VaultRequest,
    isKnown: (answer: VaultAnswer) => boolean,
  ): Promise<VaultAnswer> {
    const answer = await this.request(request);
    if (isKnown(answer)) return answer;
    throw this.#client.error(
      "backend_unavailable",
      request.action,
      `it answers with status ${answer.status}${answer.words}`,
      "Check the address, the mount and the path. Nothing that is stored is lost.",
    );
  }

  /**
   * Refuses a mount of another engine, or of version 1, which would answer as if nothing were stored. It
   * is the request that `vault kv` makes; every token may make it for a mount that it has any right to.
   */
  async assertVersion2(mount: string) {
    const path = `sys/internal/ui/mounts/${encodePath(mount)}`;
    const request = { action: "use", method: "GET", path } as const;
    const { data } = await this.ask(request, ({ status }) => status === 200);
    const { version } = Object(data.options);
    const isKv = data.type === "kv" || data.type === "generic";
    if (isKv && version === "2" && data.path === `${mount}/`) return;
    throw this.#client.error(
      "invalid_options",
      "use",
      `"${mount}" is not the mount of a KV secrets engine of version 2`,
      `Give the mount alone in the option "mount", and what comes after it in "path". If it is an ` +
        `engine of version 1, run: vault kv enable-versioning ${mount}/`,
    );
  }

  close() {
    void this.#held.forget();
    this.#client.close();
  }

  /** One login or renewal at a time, for all requests that wait for it. `ended` is not given again. */
  async #current(ended?: Held): Promise<Held> {
    const current = this.#held.get(() => this.#logIn());
    const held = await current;
    if (held !== ended && this.#now() < held.renewAt) return held;
    // Another request may have replaced it meanwhile.
    if (this.#held.kept === current) {
      void this.#held.keep(held === ended ? this.#logIn() : this.#renew(held));
    }
    return await this.#current(ended);
  }

  async #logIn(): Promise<Held> {
    const auth = this.#auth;
    if (auth.method === "token") return this.#hold(this.#givenToken(auth));
    const path = `auth/${encodePath(auth.mount ?? auth.method)}/login`;
    let body: object;
    if (auth.method === "approle") {
      const secret_id = auth.secretIdFile ? this.#file() : auth.secretId;
      body = { role_id: auth.roleId, secret_id };
    } else {
      body = { role: auth.role, jwt: this.#file() };
    }
    const answer = await this.#client.request({ action: LOG_IN, method: "POST", path, body });
    const held = this.#heldOf(answer);
    if (held) return held;
    // Vault has the same words where nothing is mounted, and where it cannot ask the cluster.
    throw this.#failed(
      `it refuses the ${auth.method} login with status ${answer.status}${answer.words}`,
      `Check the role, whether the secret of the login has ended, that ${path} exists, and for ` +
        "kubernetes that Vault may ask the cluster.",
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
  async #isLive(held: Held) {
    return (await this.#client.request({ ...LOOK_UP, token: held.token })).status === 200;
  }

  #heldOf({ status, body }: VaultAnswer): Held | undefined {
    const { client_token: token, lease_duration } = Object(body.auth);
    if (status !== 200 || typeof token !== "string" || token === "") return undefined;
    return this.#hold(token, Number(lease_duration) * 1000 || 0);
  }

  /** A token is renewed after two thirds of its life, where that is known. */
  #hold(token: string | undefined, ttlMs = 0): Held {
    const useMs = token === undefined ? Infinity : Math.max(ttlMs * 2 / 3, SHORTEST_USE_MS);
    return { token, renewAt: this.#now() + useMs };
  }

  #givenToken({ token, tokenFile }: VaultTokenAuth) {
    const given = token ?? (tokenFile ? this.#file() : readEnv(VAULT_TOKEN, "log in to Vault"));
    if (given === undefined && this.#client.isLocal) return undefined;
    if (given !== undefined && /^[\x21-\x7e]+$/.test(given)) return given;
    const reason = "there is no Vault token, or it has a space or a line end";
    throw this.#failed(reason, this.#wayOfToken());
  }

  /** The way to give another token: the place that this login takes it from. */
  #wayOfToken() {
    const auth = this.#auth;
    if (auth.method !== "token") return GIVE_TOKEN;
    if (auth.token !== undefined) return 'Give it as "token" in the options of the store.';
    if (auth.tokenFile) return `Write it into ${auth.tokenFile}.`;
    return GIVE_TOKEN;
  }

  #file() {
    return this.#client.read(vaultLoginFile(this.#auth)!, LOG_IN, "a token", 0o027).trim();
  }

  #failed(reason: string, advice: string, action = LOG_IN) {
    return this.#client.error("backend_auth_failed", action, reason, advice);
  }

  #denied({ action, method, path }: VaultRequest, { words }: VaultAnswer) {
    const capability = path.endsWith("?list=true") ? "list" : CAPABILITIES[method];
    const [secret = ""] = path.split("/?");
    const refused = `${capability} of ${decodeURI(secret)}${words}`;
    return this.#client.error(
      "backend_denied",
      action,
      `the policies of the Vault token do not allow ${refused}`,
      "Have them allow what the documentation of VaultCredentialsBackend lists, for this mount, path " +
        "and namespace.",
    );
  }
}

/** Logs in, and finds out whether the mount can be used. */
export async function openVault(
  options: VaultCredentialsBackendOptions,
  timer: Timer,
): Promise<VaultSession> {
  const { auth, fetch: given = fetch, mount = "secret", timeoutMs = 15_000 } = options;
  const client = new VaultClient(vaultConnection(options), { fetch: given, timer, timeoutMs });
  const session = new VaultSession(client, auth, timer.now);
  try {
    await session.assertVersion2(mount);
    return session;
  } catch (error) {
    session.close();
    throw error;
  }
}
