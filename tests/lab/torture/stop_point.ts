import type { OidcCredentialsBackend } from "@validmind/auth";

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
export function withCalls(
  backend: OidcCredentialsBackend,
  calls: Partial<OidcCredentialsBackend>,
): OidcCredentialsBackend {
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

/**
 * What a session takes so that this process stops itself, once, when a refresh comes to a step. It goes
 * on at SIGCONT.
 */
export function stoppingAt(step: Step, backend: OidcCredentialsBackend) {
  let [hasStopped, isLocked] = [false, false];
  const at = (reached: Step) => {
    if (reached !== step || hasStopped) return;
    hasStopped = true;
    Deno.kill(Deno.pid, "SIGSTOP");
  };
  const credentialsBackend = withCalls(backend, {
    async get(key) {
      const entry = await backend.get(key);
      if (isLocked) at("after the read");
      return entry;
    },
    async put(...entry) {
      at("before the put");
      await backend.put(...entry);
    },
    async withLock(key, fn, options) {
      at("before the lock");
      return await backend.withLock!(key, async () => {
        isLocked = true;
        at("under the lock");
        return await fn();
      }, options);
    },
  });
  const stoppingFetch: typeof fetch = async (input, init) => {
    const isRefresh = init?.method === "POST" && String(input).endsWith("/token");
    if (!isRefresh) return await fetch(input, init);
    at("before the request");
    const answer = fetch(input, init);
    if (step === "request in flight") {
      await new Promise((resolve) => setTimeout(resolve, IN_FLIGHT_MS));
      at("request in flight");
    }
    const response = await answer;
    const text = await response.text();
    at("after the answer");
    return new Response(text, response);
  };
  return { credentialsBackend, fetch: stoppingFetch };
}
