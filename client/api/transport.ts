import { connectionAdvice, connectionFault } from "../../backends/common/connection_fault.ts";
import { causeFrom } from "../../backends/common/foreign_error.ts";
import { netHost } from "../../backends/common/host.ts";
import { readText } from "../../backends/common/http_answer.ts";
import { assertNet, isNotCapable, permissionFlag } from "../../backends/common/permission.ts";
import { untilAborted } from "../../backends/common/promises.ts";
import { ValidMindAuthError } from "../errors.ts";
import { named } from "../options/declaration.ts";
import type { Runtime } from "../options/resolve_options.ts";

/**
 * A session's own headers, by lower-case name. A plain object, since `fetch` takes a quarter longer to
 * read a `Headers` object.
 */
export type OwnHeaders = Readonly<Record<string, string>>;

/** The limit of browsers. */
const MAX_HOPS = 20;

export interface ApiCredentials {
  headers: OwnHeaders;
  /** The `fetch` to use with the headers. */
  fetch: typeof globalThis.fetch;
}

export interface ApiRequest {
  url: URL;
  init: RequestInit;
  /** Whether it is a repeated GET without options, by Deno's own `fetch`. */
  isRepeated?: boolean;
  /** The request with the session's headers, from the first repetition on. A secret. */
  prepared?: { own: OwnHeaders; request: Request };
}

export type ApiTransport = ReturnType<typeof apiTransport>;

/**
 * Sends a session's requests, each within the time limit, and follows redirects. Deno's own `fetch`
 * keeps the process alive and heeds its signal, which another one need not do.
 */
export function apiTransport(
  { timeoutMs, secrets, fetch: lowest }: Pick<Runtime, "timeoutMs" | "secrets" | "fetch">,
  isFetchNative: boolean,
) {
  const startTimer = isFetchNative ? sharedTimer(timeoutMs) : ownTimer(timeoutMs);
  /** Runs a part of a call. `run` gets a signal that aborts when its time is up, or with the caller's. */
  const within = async <T>(
    { url, init: { signal: given } }: ApiRequest,
    action: string,
    run: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> => {
    given?.throwIfAborted();
    const end = new AbortController();
    const stop = startTimer(end);
    try {
      const signal = given ? AbortSignal.any([given, end.signal]) : end.signal;
      const running = run(signal);
      return await (isFetchNative ? running : untilAborted(running, signal));
    } catch (error) {
      if (given?.aborted) throw given.reason;
      const ms = end.signal.aborted ? timeoutMs : undefined;
      throw unreachable(url, action, error, secrets, ms);
    } finally {
      stop();
    }
  };
  return {
    /** Gives the answer when it begins. The time limit does not cover its body. */
    send(request: ApiRequest, { headers: own, fetch }: ApiCredentials): Promise<Response> {
      const { url, init } = request;
      return within(request, `reach ${url.origin}${url.pathname}`, async (signal) => {
        const full = request.isRepeated ? undefined : withHeaders(init, own);
        const response = full === undefined
          ? await fetch(prepare(request, own), { signal })
          : await fetch(url, { ...full, signal, redirect: "manual" });
        if (!isRedirect(response)) return response;
        const asked = full ?? withHeaders(init, own);
        const follow = (next: URL, init: RequestInit) => {
          if (lowest === globalThis.fetch) assertNet(next); // DPoP has one above it
          return fetch(next, init);
        };
        return await followRedirects(follow, url, asked, own, signal, response);
      });
    },
    /** The body of an answer as text, cut off after `maxBytes`. */
    async readText(
      request: ApiRequest,
      response: Response,
      action: string,
      maxBytes?: number,
    ): Promise<string> {
      const read = (signal: AbortSignal) => readText(response, signal, maxBytes, "cut");
      return await within(request, action, read) ?? "";
    },
  };
}

/** A `Request` that is kept: reading a long token again takes a tenth of a call to loopback. */
function prepare(request: ApiRequest, own: OwnHeaders): Request {
  if (request.prepared?.own !== own) {
    const init: RequestInit = { headers: own, redirect: "manual" };
    request.prepared = { own, request: new Request(request.url, init) };
  }
  return request.prepared.request;
}

/** Starts the time limit of a call, and gives a function that stops it. */
type StartTimer = (end: AbortController) => () => void;

/** Keeps the process alive until the time is up. */
function ownTimer(timeoutMs: number): StartTimer {
  return (end) => {
    const timer = setTimeout(() => end.abort(), timeoutMs);
    return () => clearTimeout(timer);
  };
}

/** One timer for all calls of a session. A timer for each would take an eighth of a call to loopback. */
function sharedTimer(timeoutMs: number): StartTimer {
  /** In the order of their ends, since all have the same length. */
  const running = new Map<AbortController, number>();
  let isWatching = false;
  const watch = (ms: number) => {
    isWatching = true;
    // This timer may outlive the calls: it keeps no process alive, and no test reports it as a leak.
    // Its own addEventListener would keep the process alive, so EventTarget's is used.
    const timer = AbortSignal.timeout(Math.ceil(ms));
    EventTarget.prototype.addEventListener.call(timer, "abort", look);
  };
  const look = () => {
    const now = performance.now();
    isWatching = false;
    for (const [end, endsAt] of running) {
      if (endsAt > now) return watch(endsAt - now);
      running.delete(end);
      end.abort();
    }
  };
  return (end) => {
    running.set(end, performance.now() + timeoutMs);
    if (!isWatching) watch(timeoutMs);
    return () => running.delete(end);
  };
}

function unreachable(
  url: URL,
  action: string,
  error: unknown,
  secrets: Iterable<string>,
  timeoutMs?: number,
): Error {
  if (error instanceof ValidMindAuthError) return error;
  if (isNotCapable(error)) {
    // A redirect may lead to another host, which Deno names.
    const [, host = netHost(url)] = /"([^"]+)"/.exec(error.message) ?? [];
    return new ValidMindAuthError("permission_required", {
      action,
      reason: "Deno does not permit it",
      remedy: `Run with: ${permissionFlag("net", host)}`,
    });
  }
  const fault = connectionFault(error, timeoutMs);
  return new ValidMindAuthError("api_unreachable", {
    action,
    reason: fault ?? "the connection failed",
    remedy: `Check ${named("apiHost")}, ${connectionAdvice(fault)}`,
    cause: timeoutMs ? undefined : causeFrom(error, secrets),
  });
}

/**
 * Follows redirects as `fetch` does, but sends the session's own headers to the first URL's origin
 * only. After a redirect has left that origin they are not added again (`fetch` would keep
 * `X-API-KEY`).
 */
async function followRedirects(
  fetch: (url: URL, init: RequestInit) => Promise<Response>,
  first: URL,
  init: RequestInit,
  own: OwnHeaders,
  signal: AbortSignal,
  redirect: Response,
): Promise<Response> {
  let [url, request, response] = [first, init, redirect];
  for (let hops = 0;; hops++) {
    const next = isRedirect(response) ? redirectTarget(response, url) : undefined;
    if (next === undefined || init.redirect === "manual") return response;
    if (init.redirect === "error" || hops === MAX_HOPS) {
      await response.body?.cancel();
      const where = hops === MAX_HOPS ? "without an end" : "to another address";
      throw new ValidMindAuthError("api_unreachable", {
        action: `reach ${url.origin}${url.pathname}`,
        reason: `it redirects ${where}`,
        remedy: "Check the path.",
      });
    }
    const rewritten = rewrite(response.status, request);
    if (rewritten === undefined) return response;
    await response.body?.cancel();
    signal.throwIfAborted(); // a caller's fetch may ignore it
    request = next.origin === url.origin ? rewritten : withoutSecrets(rewritten, own);
    url = next;
    response = await fetch(url, { ...request, signal, redirect: "manual" });
  }
}

/** Whether a body can be sent again. A stream or a generator is empty the second time. */
export function isReplayable(body: unknown): boolean {
  return body === undefined || body === null || typeof body === "string" || body instanceof Blob ||
    body instanceof ArrayBuffer || ArrayBuffer.isView(body) || body instanceof URLSearchParams ||
    body instanceof FormData;
}

/** A copy of `init` with the session's headers, since a caller's `fetch` may change its argument. */
function withHeaders(init: RequestInit, own: OwnHeaders): RequestInit {
  if (init.headers === undefined) return { ...init, headers: { ...own } };
  const headers = new Headers(init.headers);
  for (const [name, value] of Object.entries(own)) headers.set(name, value);
  return { ...init, headers };
}

function isRedirect({ status }: Response): boolean {
  return [301, 302, 303, 307, 308].includes(status);
}

function redirectTarget(response: Response, url: URL): URL | undefined {
  const location = response.headers.get("location");
  const next = location === null ? null : URL.parse(location, url);
  return next !== null && /^https?:$/.test(next.protocol) ? next : undefined;
}

/** The next request by the fetch standard; `undefined` if its body cannot be sent again. */
function rewrite(status: number, request: RequestInit): RequestInit | undefined {
  const method = request.method?.toUpperCase() ?? "GET";
  const becomesGet = (status === 303 && method !== "HEAD") ||
    ((status === 301 || status === 302) && method === "POST");
  if (!becomesGet) return isReplayable(request.body) ? request : undefined;
  const { body: _, ...rest } = request;
  const names = ["content-type", "content-length", "content-encoding"];
  return { ...rest, method: "GET", headers: without(names, request.headers) };
}

function withoutSecrets(request: RequestInit, own: OwnHeaders): RequestInit {
  const names = [...Object.keys(own), "authorization", "cookie", "proxy-authorization"];
  return { ...request, headers: without(names, request.headers) };
}

function without(names: string[], headers: HeadersInit | undefined): Headers {
  const rest = new Headers(headers);
  for (const name of names) rest.delete(name);
  return rest;
}
