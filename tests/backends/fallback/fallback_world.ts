import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "../../../backends/credentials_backend_error.ts";
import { FallbackCredentialsBackend } from "../../../backends/fallback.ts";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../../backends/oidc_credentials_backend.ts";

/** A store that can be made to fail. */
export class FlakyBackend implements OidcCredentialsBackend {
  readonly location: string;
  readonly persistent = true;
  readonly rows = new MemoryCredentialsBackend();
  readonly calls: string[] = [];
  /** The error that each method throws, by its name or for all. */
  faults: Partial<
    Record<"get" | "put" | "delete" | "list" | "withLock" | "all", CredentialsBackendErrorCode>
  > = {};

  constructor(location: string) {
    this.location = location;
  }
  async get(key: string): Promise<OidcCredentials | undefined> {
    this.#called("get");
    await Promise.resolve();
    return this.rows.get(key);
  }
  put(key: string, entry: OidcCredentials): void {
    this.#called("put");
    this.rows.put(key, entry);
  }
  delete(key: string): void {
    this.#called("delete");
    this.rows.delete(key);
  }
  async *list(): AsyncGenerator<string> {
    this.#called("list");
    yield* this.rows.list();
  }
  async withLock<T>(key: string, fn: () => Promise<T>): Promise<T> {
    this.#called("withLock");
    return await this.rows.withLock(key, fn);
  }
  #called(method: Exclude<keyof FlakyBackend["faults"], "all">): void {
    this.calls.push(method);
    const code = this.faults[method] ?? this.faults.all;
    if (code !== undefined) throw fault(code, this.location);
  }
}

export function fault(
  code: CredentialsBackendErrorCode,
  where = "somewhere",
): CredentialsBackendError {
  return new CredentialsBackendError(code, `Cannot reach ${where}: it failed. Mend it.`);
}

/** A fallback of three stores, with the events that it reports. */
export function trio() {
  const [a, b, c] = [new FlakyBackend("a"), new FlakyBackend("b"), new FlakyBackend("c")];
  const events: string[] = [];
  const open = () =>
    new FallbackCredentialsBackend({
      backends: [a, b, c],
      onFallback: (message) => void events.push(message),
    });
  return { a, b, c, events, open, backend: open() };
}
