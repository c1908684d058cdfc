import type { OidcCredentials, OidcCredentialsBackend, WithLockOptions } from "@validmind/auth";

/** The steps of a refresh at which a process can be stopped, in their order. */
export const STEPS = [
  "before the lock",
  "under the lock",
  "after the read",
  "before the request",
  "request in flight",
  "after the answer",
  "before the put",
] as const;

/** A step of a refresh. */
export type Step = typeof STEPS[number];

/** A backend some of whose calls are others. */
export function withCalls<T extends OidcCredentialsBackend>(
  backend: T,
  calls: Partial<OidcCredentialsBackend>,
): T {
  return new Proxy(backend, {
    get(target, name) {
      const call = calls[name as keyof typeof calls];
      if (call !== undefined) return call;
      const value = Reflect.get(target, name, target); // private fields are of the target
      return typeof value === "function" && name !== "constructor" ? value.bind(target) : value;
    },
  });
}

/** Long enough for a request to reach the provider, which holds its answer back for longer. */
const IN_FLIGHT_MS = 200;

/** Stops this process, once, when a refresh comes to a step. It goes on at SIGCONT. */
export class StopPoint {
  readonly #step: Step;
  #hasStopped = false;
  #isLocked = false;

  constructor(step: Step) {
    this.#step = step;
  }

  /** The backend, with the steps before and after its calls. */
  wrap<T extends OidcCredentialsBackend>(backend: T): T {
    const calls: Partial<OidcCredentialsBackend> = {
      get: (key) => this.#get(backend, key),
      put: (key, entry) => this.#put(backend, key, entry),
      withLock: (key, fn, options) => this.#withLock(backend, key, fn, options),
    };
    return withCalls(backend, calls);
  }

  /** The global `fetch`, with the steps around a refresh. */
  readonly fetch: typeof globalThis.fetch = async (input, init) => {
    const isRefresh = init?.method === "POST" && String(input).endsWith("/token");
    if (!isRefresh) return await fetch(input, init);
    this.#at("before the request");
    const answer = fetch(input, init);
    if (this.#step === "request in flight") {
      await new Promise((resolve) => setTimeout(resolve, IN_FLIGHT_MS));
      this.#at("request in flight");
    }
    const response = await answer;
    const text = await response.text();
    this.#at("after the answer");
    return new Response(text, response);
  };

  async #get(backend: OidcCredentialsBackend, key: string) {
    const entry = await backend.get(key);
    if (this.#isLocked) this.#at("after the read");
    return entry;
  }

  async #put(backend: OidcCredentialsBackend, key: string, entry: OidcCredentials): Promise<void> {
    this.#at("before the put");
    await backend.put(key, entry);
  }

  async #withLock<T>(
    backend: OidcCredentialsBackend,
    key: string,
    fn: () => Promise<T>,
    options?: WithLockOptions<T>,
  ): Promise<T> {
    this.#at("before the lock");
    return await backend.withLock!(key, async () => {
      this.#isLocked = true;
      this.#at("under the lock");
      return await fn();
    }, options);
  }

  #at(step: Step): void {
    if (step !== this.#step || this.#hasStopped) return;
    this.#hasStopped = true;
    Deno.kill(Deno.pid, "SIGSTOP");
  }
}
