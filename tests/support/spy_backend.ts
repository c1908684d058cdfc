import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";

/** A minimal backend of three methods, which counts its calls and can be made to fail. */
export class SpyBackend implements OidcCredentialsBackend {
  readonly calls: string[] = [];
  readonly rows = new Map<string, OidcCredentials>();
  /** Runs before each call; what it throws is what the call throws. */
  before: ((method: "get" | "put" | "delete", key: string) => void | Promise<void>) | undefined;

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

  async #called(method: "get" | "put" | "delete", key: string): Promise<void> {
    this.calls.push(method);
    await this.before?.(method, key);
  }
}
