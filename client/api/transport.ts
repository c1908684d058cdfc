import { untilAborted } from "../../backends/common/delay.ts";
import { netHost } from "../../backends/common/hosts.ts";
import { ValidMindAuthError } from "../errors.ts";
import { readText, safeCause } from "../../backends/common/printable.ts";

/**
 * A session's own headers, by lower-case name. Not a `Headers` object: `fetch` takes a quarter longer
 * to read one than a plain object.
 */
export type OwnHeaders = Readonly<Record<string, string>>;

/** As many as browsers follow. */
const MAX_HOPS = 20;

/** What a session's requests are made with. */
export interface ApiCredentials {
  headers: OwnHeaders;
  /** The `fetch` that goes with them. */
  fetch: typeof globalThis.fetch;
}

/** One request of a session. */
export interface ApiRequest {
  url: URL;
  init: RequestInit;
  /** Whether it was made before: a GET without options, by Deno's own `fetch`. */
  isRepeated?: boolean;
  /** The same, session's headers included, from the first repetition on. A secret. */
  prepared?: { own: OwnHeaders; request: Request };
}

/** What came of a request. */
export interface ApiAnswer {
  response: Response;
  /** Whether it came from the request's origin by no way round. */
  isOwn: boolean;
}

/** Sends a session's requests, each within the time limit, and follows redirects. */
export class ApiTransport {
  readonly #limits: TimeLimits;
  readonly #isFetchNative: boolean;

  /**
   * @param isFetchNative Whether requests are made by Deno's own `fetch`: each keeps the process, and
   * ends with its signal.
   */
  constructor(timeoutMs: number, isFetchNative: boolean) {
    this.#limits = new TimeLimits(timeoutMs, isFetchNative);
    this.#isFetchNative = isFetchNative;
  }

  /** The answer, as soon as it begins: its body is not under the limit. */
  async send(
    request: ApiRequest,
    { headers: own, fetch: given }: ApiCredentials,
  ): Promise<ApiAnswer> {
    const { url, init } = request;
    const fetch = this.#isFetchNative ? given : heeding(given);
    const limit = this.#limits.start(init.signal);
    const { signal } = limit;
    try {
      const full = request.isRepeated ? undefined : withHeaders(init, own);
      const response = full === undefined
        ? await fetch(prepare(request, own), { signal })
        : await fetch(url, { ...full, signal, redirect: "manual" });
      if (!isRedirect(response)) return { response, isOwn: true };
      const asked = full ?? withHeaders(init, own);
      return await followRedirects(fetch, url, asked, own, signal, response);
    } catch (error) {
      throw limit.explain(error, url, `reach ${url.origin}${url.pathname}`);
    } finally {
      this.#limits.stop(limit);
    }
  }

  /**
   * The body of an answer as text, cut off after `maxBytes`.
   *
   * @param action What cannot be done if it fails, as in "Cannot {action}".
   */
  async readText(
    { url, init }: ApiRequest,
    response: Response,
    action: string,
    maxBytes?: number,
  ): Promise<string> {
    const limit = this.#limits.start(init.signal);
    try {
      return await readText(response, limit.signal, maxBytes, "cut") ?? "";
    } catch (error) {
      throw limit.explain(error, url, action);
    } finally {
      this.#limits.stop(limit);
    }
  }
}

/** A `fetch` of the caller's, which may not look at its signal. */
function heeding(fetch: typeof globalThis.fetch): typeof globalThis.fetch {
  return (input, init) => untilAborted(Promise.try(fetch, input, init), init?.signal ?? undefined);
}

/** Reading a long token anew takes `fetch` a tenth of a call to loopback; a `Request` has it read. */
function prepare(request: ApiRequest, own: OwnHeaders): Request {
  if (request.prepared?.own !== own) {
    const init: RequestInit = { headers: own, redirect: "manual" };
    request.prepared = { own, request: new Request(request.url, init) };
  }
  return request.prepared.request;
}

/** One call's limit. */
class TimeLimit {
  readonly timeoutMs: number;
  readonly endsAt: number;
  /** Aborts when the time is up, or when the caller's does. */
  readonly signal: AbortSignal;
  /** Only where the common timer does not serve. */
  timer: ReturnType<typeof setTimeout> | undefined;
  readonly #controller = new AbortController();
  readonly #given: AbortSignal | undefined;

  constructor(timeoutMs: number, given: AbortSignal | null | undefined) {
    given?.throwIfAborted();
    const { signal } = this.#controller;
    this.timeoutMs = timeoutMs;
    this.endsAt = performance.now() + timeoutMs;
    this.#given = given ?? undefined;
    this.signal = given ? AbortSignal.any([given, signal]) : signal;
  }

  end(): void {
    this.#controller.abort();
  }

  /** What is thrown for an error of the call: the caller's own reason, or what to do. */
  explain(error: unknown, url: URL, action: string): unknown {
    if (this.#given?.aborted) return this.#given.reason;
    const isOver = this.#controller.signal.aborted;
    return unreachable(url, action, error, isOver ? this.timeoutMs : undefined);
  }
}

/**
 * The limits of all calls of a session, on one timer that goes on from call to call: one for each call
 * takes an eighth of a call to loopback.
 */
class TimeLimits {
  readonly #timeoutMs: number;
  readonly #keepsProcess: boolean;
  /** The one that ends first comes first, since all last equally long. */
  readonly #running = new Set<TimeLimit>();
  #isWatching = false;

  constructor(timeoutMs: number, keepsProcess: boolean) {
    this.#timeoutMs = timeoutMs;
    this.#keepsProcess = keepsProcess;
  }

  start(signal: AbortSignal | null | undefined): TimeLimit {
    const limit = new TimeLimit(this.#timeoutMs, signal);
    if (this.#keepsProcess) {
      this.#running.add(limit);
      if (!this.#isWatching) this.#watch(this.#timeoutMs);
    } else {
      // The common timer does not keep the process until the time is up.
      limit.timer = setTimeout(() => limit.end(), this.#timeoutMs);
    }
    return limit;
  }

  stop(limit: TimeLimit): void {
    this.#running.delete(limit);
    if (limit.timer !== undefined) clearTimeout(limit.timer);
  }

  #watch(ms: number): void {
    this.#isWatching = true;
    // A timer that may outlive the calls: it keeps no process, and no test takes it for a leak. Its
    // own addEventListener would have it keep the process, hence that of its parent.
    const timer = AbortSignal.timeout(Math.ceil(ms));
    EventTarget.prototype.addEventListener.call(timer, "abort", () => this.#look());
  }

  #look(): void {
    const now = performance.now();
    this.#isWatching = false;
    for (const limit of this.#running) {
      if (limit.endsAt > now) return this.#watch(limit.endsAt - now);
      this.#running.delete(limit);
      limit.end();
    }
  }
}

function unreachable(url: URL, action: string, error: unknown, timeoutMs?: number): Error {
  if (error instanceof ValidMindAuthError) return error;
  if (error instanceof Deno.errors.NotCapable) {
    return new ValidMindAuthError(
      "permission_required",
      `Cannot ${action}: Deno does not permit it. Run with: --allow-net=${netHost(url)}`,
    );
  }
  const reason = timeoutMs === undefined
    ? `the connection failed${error instanceof Error ? ` (${error.name})` : ""}`
    : `there was no answer within ${timeoutMs} ms`;
  return new ValidMindAuthError(
    "api_unreachable",
    `Cannot ${action}: ${reason}. Check apiHost, the network and a proxy, and try again.`,
    safeCause(error),
  );
}

/**
 * Follows redirects as `fetch` would, except that the session's own headers go to the first URL's
 * origin only, and once a redirect has left it they are not added again (fetch would keep `X-API-KEY`).
 *
 * @param own The session's headers, which are among those of `init`.
 * @param redirect The first answer.
 */
async function followRedirects(
  fetch: typeof globalThis.fetch,
  first: URL,
  init: RequestInit,
  own: OwnHeaders,
  signal: AbortSignal,
  redirect: Response,
): Promise<ApiAnswer> {
  let url = first;
  let request = init;
  let response = redirect;
  let isOwn = true;
  for (let hops = 0;; hops++) {
    const next = isRedirect(response) ? redirectTarget(response, url) : undefined;
    if (next === undefined || init.redirect === "manual") return { response, isOwn };
    if (init.redirect === "error" || hops === MAX_HOPS) throw await refuse(response, url, hops);
    const rewritten = rewrite(response.status, request);
    if (rewritten === undefined) return { response, isOwn };
    await response.body?.cancel();
    isOwn &&= next.origin === first.origin;
    request = next.origin === url.origin ? rewritten : withoutSecrets(rewritten, own);
    url = next;
    response = await fetch(url, { ...request, signal, redirect: "manual" });
  }
}

/** Whether a body is the same when it is sent again; a stream or a generator is then empty. */
export function isReplayable(body: unknown): boolean {
  return body === undefined || body === null || typeof body === "string" || body instanceof Blob ||
    body instanceof ArrayBuffer || ArrayBuffer.isView(body) || body instanceof URLSearchParams ||
    body instanceof FormData;
}

/** With the session's headers over those of `init`; a copy, since a `fetch` may change what it gets. */
function withHeaders(init: RequestInit, own: OwnHeaders): RequestInit {
  if (init.headers === undefined) return { ...init, headers: { ...own } };
  const headers = new Headers(init.headers);
  for (const [name, value] of Object.entries(own)) headers.set(name, value);
  return { ...init, headers };
}

function isRedirect({ status }: Response): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}

function redirectTarget(response: Response, url: URL): URL | undefined {
  const location = response.headers.get("location");
  const next = location === null ? null : URL.parse(location, url);
  return next !== null && /^https?:$/.test(next.protocol) ? next : undefined;
}

/** The next request, as the fetch standard has it; `undefined` when a body cannot be sent again. */
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

async function refuse(response: Response, url: URL, hops: number): Promise<ValidMindAuthError> {
  await response.body?.cancel();
  return new ValidMindAuthError(
    "api_unreachable",
    `Cannot reach ${url.origin}${url.pathname}: ` +
      `${
        hops === MAX_HOPS ? "it redirects without end" : "it redirects elsewhere"
      }. Check the path.`,
  );
}
