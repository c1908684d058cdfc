import type { WithLockOptions } from "../backends/oidc_credentials_backend.ts";
import type { CredentialStore } from "./credential_store.ts";
import type { Emit } from "./resolve_options.ts";

/** After this a wait is worth a word. */
const NOTICE_MS = 1000;

/** Who is told of a wait. */
export interface WaitListeners {
  emit: Emit | undefined;
  /** Whose tokens are waited for; `undefined` where the person may not be told. */
  issuer: string | undefined;
}

/** Runs `fn` under the store's lock, and tells of the wait for it when that takes long. */
export async function withToldLock<T>(
  store: CredentialStore,
  fn: () => Promise<T>,
  options: WithLockOptions<T>,
  listeners: WaitListeners,
): Promise<T> {
  using wait = new LockWait(listeners);
  return await store.withLock(() => {
    wait.end();
    return fn();
  }, options);
}

/** One wait for a lock, which is told of when it takes long. */
class LockWait implements Disposable {
  readonly #emit: Emit | undefined;
  readonly #start = performance.now();
  readonly #timer: ReturnType<typeof setTimeout>;
  #notice: Promise<{ erase(): void }> | undefined;
  #isLong = false;

  constructor({ emit, issuer }: WaitListeners) {
    this.#emit = emit;
    this.#timer = setTimeout(() => this.#tell(issuer), NOTICE_MS);
  }

  /** Ends the wait. Further calls do nothing. */
  end(): void {
    clearTimeout(this.#timer);
    if (!this.#isLong) return;
    this.#isLong = false;
    this.#emit?.({ type: "lock_waited", waitedMs: this.#waitedMs() });
    this.#notice?.then((notice) => notice.erase()).catch(() => undefined);
  }

  [Symbol.dispose](): void {
    this.end();
  }

  #tell(issuer: string | undefined): void {
    this.#isLong = true;
    this.#emit?.({ type: "lock_waiting", waitedMs: this.#waitedMs() });
    if (issuer === undefined) return;
    const text = `Another process is refreshing the sign-in at ${issuer}; waiting for it …`;
    this.#notice = import("./prompt/terminal.ts").then(({ terminalNotice }) =>
      terminalNotice(text)
    );
    this.#notice.catch(() => undefined);
  }

  #waitedMs(): number {
    return Math.round(performance.now() - this.#start);
  }
}
