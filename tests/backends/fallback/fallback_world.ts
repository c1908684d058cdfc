import type { CredentialsBackendErrorCode } from "../../../backends/credentials_backend_error.ts";
import { FallbackCredentialsBackend } from "../../../backends/fallback.ts";
import { catchWarnings } from "../../support/caught_warnings.ts";
import { storeError } from "../../support/error_parts.ts";
import { SpyBackend } from "../../support/spy_backend.ts";

/** A store that can be made to fail. */
export class FlakyBackend extends SpyBackend {
  readonly persistent = true;
  /** The error that each method throws, by its name or for all. */
  faults: { put?: CredentialsBackendErrorCode; all?: CredentialsBackendErrorCode } = {};

  constructor(readonly location: string) {
    super();
  }
  override before = (method: string): void => {
    const code = method === "put" && this.faults.put || this.faults.all;
    if (code) throw storeError(code);
  };
  async *list(): AsyncGenerator<string> {
    this.before("list");
    yield* this.rows.keys();
  }
  async withLock<T>(_key: string, fn: () => Promise<T>): Promise<T> {
    this.calls.push("withLock");
    this.before("withLock");
    return await fn();
  }
}

const events = catchWarnings();

/** A fallback of three stores, with the events that it reports. */
export function trio() {
  const [a, b, c] = [new FlakyBackend("a"), new FlakyBackend("b"), new FlakyBackend("c")];
  events.length = 0;
  const open = () => new FallbackCredentialsBackend({ backends: [a, b, c] });
  return { a, b, c, events, open, backend: open() };
}
