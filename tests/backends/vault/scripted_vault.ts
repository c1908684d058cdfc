import { VaultCredentialsBackend } from "../../../backends/vault.ts";
import { TIMER, type VaultCredentialsBackendOptions } from "../../../backends/vault/options.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { json } from "../../support/http_server.ts";

export interface ScriptedRequest {
  readonly method: string;
  /** What follows `/v1/`. */
  readonly path: string;
  readonly token: string | null;
  // deno-lint-ignore no-explicit-any -- as it was sent
  readonly body: any;
}

type Answer = Response | undefined | Promise<Response | undefined>;

/** A Vault in memory with one KV engine, for what a real one does not do when it is told to. */
export class ScriptedVault {
  readonly secrets = new Map<string, { data: unknown; version: number }>();
  readonly requests: ScriptedRequest[] = [];
  readonly clock = new FakeClock();
  mount: unknown = { type: "kv", path: "secret/", options: { version: "2" } };
  /** The tokens that are valid; `undefined` for all. */
  tokens: Set<string> | undefined;
  /** What a login, or a renewal, gives. */
  login: (request: ScriptedRequest) => Answer = () => json({ errors: ["no login"] }, 400);
  /** Runs before each other request: an answer takes the place of the engine's. */
  before: (request: ScriptedRequest) => Answer = () => undefined;

  readonly fetch: typeof fetch = async (input, init) => {
    const url = new URL(String(input));
    const request = {
      method: init?.method ?? "GET",
      path: url.pathname.replace("/v1/", "") + url.search,
      token: new Headers(init?.headers).get("x-vault-token"),
      body: init?.body instanceof Blob ? JSON.parse(await init.body.text()) : undefined,
    };
    this.requests.push(request);
    return await this.#answer(request);
  };

  /** What was asked since the last look, without the folder. */
  asked(): string[] {
    return this.requests.splice(0).map(({ method, path }) => {
      const [, kind, name = ""] = /^secret\/(\w+)\/users\/anna\/(.*)$/.exec(path) ?? ["", path];
      return `${method} ${kind}${name.endsWith(".lock") ? " lock" : ""}`;
    });
  }

  /** A store on this Vault, by its clock. */
  backend(options: Partial<VaultCredentialsBackendOptions> = {}): VaultCredentialsBackend {
    const given = {
      address: "https://vault.example.com",
      path: "users/anna",
      auth: { method: "token", token: "given" },
      fetch: this.fetch,
      ...options,
      [TIMER]: this.clock,
    } as const;
    return new VaultCredentialsBackend(given);
  }

  /** The same, once it is logged in. */
  async open(options?: Partial<VaultCredentialsBackendOptions>): Promise<VaultCredentialsBackend> {
    const backend = this.backend(options);
    await Array.fromAsync(backend.list());
    return backend;
  }

  async #answer(request: ScriptedRequest): Promise<Response> {
    const { method, path, token, body } = request;
    if (path.startsWith("auth/") && path !== "auth/token/lookup-self") {
      return await this.login(request) ?? new Response(null, { status: 204 });
    }
    if (this.tokens?.has(token ?? "") === false) {
      return json({ errors: ["permission denied"] }, 403);
    }
    if (path === "auth/token/lookup-self") return json({ data: {} });
    const answer = await this.before(request);
    if (answer !== undefined) return answer;
    if (path.startsWith("sys/")) return json({ data: this.mount });
    const [, kind, name] = /^secret\/(data|metadata|destroy)\/(.+)$/.exec(path)!;
    if (kind === "destroy") {
      if (body.versions.length > 0) return new Response(null, { status: 204 });
      return json({ errors: ["No version number provided"] }, 400);
    }
    const found = this.secrets.get(name!);
    if (kind === "metadata") {
      if (method === "DELETE") this.secrets.delete(name!);
      if (method !== "GET") return new Response(null, { status: 204 });
      const folder = name!.replace("?list=true", "");
      return json({
        data: { keys: [...this.secrets.keys()].map((one) => one.replace(folder, "")) },
      });
    }
    if (method === "POST") {
      const version = found?.version ?? 0;
      if (body.options.cas !== undefined && body.options.cas !== version) {
        return json({ errors: ["check-and-set parameter did not match the current version"] }, 400);
      }
      this.secrets.set(name!, { data: body.data, version: version + 1 });
      return json({ data: { version: version + 1 } });
    }
    if (found === undefined) return json({ errors: [] }, 404);
    return json({ data: { data: found.data, metadata: { version: found.version } } });
  }
}
