import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";

type Method = "get" | "put" | "delete";

/** A minimal backend of three methods, which counts its calls and can be made to fail. */
export class SpyBackend implements OidcCredentialsBackend {
  readonly calls: string[] = [];
  readonly rows = new Map<string, OidcCredentials>();
  /** Runs before each call; what it throws is what the call throws. */
  before: ((method: Method, key: string) => void | Promise<void>) | undefined;

  /** Lets calls of a method fail, for one key or for each, until `before` is set anew. */
  fail(method: Method, error: unknown, key?: string): void {
    this.before = (called, of) => {
      if (called === method && (key ?? of) === of) throw error;
    };
  }

  async get(key: string): Promise<OidcCredentials | undefined> {
    await this.#called("get", key);
    return structuredClone(this.rows.get(key));
  }

  async put(key: string, entry: OidcCredentials): Promise<void> {
    await this.#called("put", key);
    this.rows.set(key, structuredClone(entry));
  }

  async delete(key: string): Promise<void> {
    await this.#called("delete", key);
    this.rows.delete(key);
  }

  async #called(method: Method, key: string): Promise<void> {
    this.calls.push(method);
    await this.before?.(method, key);
  }
}
