import { ApiError, ValidMindAuthError } from "./errors.ts";
import { followRedirects } from "./follow_redirects.ts";
import { printable } from "./printable.ts";
import type { Runtime } from "./resolve_options.ts";
import type { GetOptions, PostOptions, QueryParams } from "./session.ts";

/** What {@linkcode ApiClient} is told. */
export interface ApiClientOptions {
  /** Base URL, with a trailing slash. */
  apiHost: string | undefined;
  runtime: Runtime;
  /** The session's headers; `rejected` is a set of them that the API refused. */
  headers: (rejected?: Headers) => Promise<Headers>;
  /** Whether a refused set of headers can be replaced by a better one. */
  canRenew: boolean;
}

/** Makes a session's requests. */
export class ApiClient {
  readonly #options: ApiClientOptions;

  constructor(options: ApiClientOptions) {
    this.#options = options;
  }

  /** See `Session.fetch`. */
  async fetch(input: string | URL | Request, init: RequestInit = {}): Promise<Response> {
    const { url, request } = this.#prepare(input, init);
    return (await this.#exchange(url, request)).response;
  }

  /** See `Session.get`. */
  async get(path: string, params: QueryParams = {}, options: GetOptions = {}): Promise<unknown> {
    return await this.#json(path, params, { method: "GET", ...options });
  }

  /** See `Session.post`. */
  async post(path: string, options: PostOptions = {}): Promise<unknown> {
    const { params = {}, json, form, signal } = options;
    if (json !== undefined && form !== undefined) {
      throw new ValidMindAuthError(
        "invalid_options",
        `Cannot POST ${printable(path)}: there are json and form. Give one of them.`,
      );
    }
    const init = { method: "POST", ...(signal !== undefined && { signal }) };
    return await this.#json(path, params, { ...init, ...postBody(json, form) });
  }

  async #json(path: string, params: QueryParams, init: RequestInit): Promise<unknown> {
    const url = this.#resolve(path);
    for (const [name, value] of Object.entries(params)) {
      if (value !== undefined) url.searchParams.append(name, String(value));
    }
    const action = `${init.method} ${url.pathname}`;
    const { response, headers } = await this.#exchange(url, init);
    const text = await this.#read(response, action, init.signal ?? undefined);
    if (!response.ok) throw apiError(action, response.status, excerpt(text, headers));
    if (text === "") return undefined;
    try {
      return JSON.parse(text);
    } catch {
      throw new ApiError(
        `Cannot ${action}: the API answered ${response.status} with something that is not JSON. ` +
          `Check apiHost (${this.#options.apiHost}).`,
        response.status,
        excerpt(text, headers),
      );
    }
  }

  /** The answer, after one renewal and one retry where a 401 calls for them; and what was sent. */
  async #exchange(url: URL, request: RequestInit) {
    const headers = await this.#options.headers();
    const response = await this.#send(url, request, headers);
    const isFinal = response.status !== 401 || !this.#options.canRenew ||
      request.body instanceof ReadableStream;
    const renewed = isFinal ? undefined : await this.#renew(headers);
    if (renewed === undefined) return { response, headers };
    await response.body?.cancel();
    return { response: await this.#send(url, request, renewed), headers: renewed };
  }

  #prepare(input: string | URL | Request, init: RequestInit) {
    if (!(input instanceof Request)) return { url: this.#resolve(input), request: init };
    const { method, headers, body, signal, redirect } = input;
    return {
      url: this.#resolve(input.url),
      request: { method, headers, body, signal, redirect, ...init },
    };
  }

  #resolve(input: string | URL): URL {
    const { apiHost } = this.#options;
    const url = input instanceof URL ? input : URL.parse(input, apiHost);
    if (url === null) {
      throw new ValidMindAuthError(
        "invalid_options",
        `Cannot request ${JSON.stringify(printable(String(input)))}: it is no URL` +
          `${apiHost === undefined ? ", and the session has no apiHost. Pass apiHost" : ""}.`,
      );
    }
    if (apiHost !== undefined && url.origin === new URL(apiHost).origin) return url;
    throw new ValidMindAuthError(
      "wrong_origin",
      `Cannot request ${url.origin}: the session sends its token to ` +
        `${apiHost === undefined ? "no API, since it has no apiHost" : new URL(apiHost).origin} ` +
        `only. Use fetch() itself, or a session of its own for that API.`,
    );
  }

  async #renew(rejected: Headers): Promise<Headers | undefined> {
    try {
      return await this.#options.headers(rejected);
    } catch (error) {
      if (error instanceof ValidMindAuthError) return undefined; // the 401 itself tells the caller
      throw error;
    }
  }

  async #send(url: URL, init: RequestInit, own: Headers): Promise<Response> {
    const { fetch, timeoutMs } = this.#options.runtime;
    return await withTimeLimit(url, timeoutMs, init.signal, async (signal) => {
      return await followRedirects(fetch, url, { ...init, signal }, own);
    });
  }

  async #read(response: Response, action: string, signal?: AbortSignal): Promise<string> {
    const url = new URL(this.#options.apiHost!);
    const { timeoutMs } = this.#options.runtime;
    return await withTimeLimit(url, timeoutMs, signal, async (limit) => {
      const onAbort = () => response.body?.cancel().catch(() => undefined);
      limit.addEventListener("abort", onAbort, { once: true });
      const text = await response.text();
      limit.throwIfAborted();
      return text;
    }, action);
  }
}

function apiError(action: string, status: number, body: string): ApiError {
  const advice = status === 401
    ? "Run init() again to sign in, and check audience and scope."
    : "Check the request and your access to the model.";
  return new ApiError(
    `Cannot ${action}: the API answered ${status} (${printable(body) || "no text"}). ${advice}`,
    status,
    body,
  );
}

/** The beginning of an answer; an API may echo what it was sent, so credentials are taken out. */
function excerpt(text: string, sent: Headers): string {
  let safe = text;
  for (const name of ["authorization", "x-api-key", "x-api-secret"]) {
    const secret = sent.get(name)?.replace(/^Bearer /, "");
    if (secret) safe = safe.replaceAll(secret, "[removed]");
  }
  return safe.slice(0, 2000);
}

function postBody(json: unknown, form: PostOptions["form"]): RequestInit {
  // As a Blob, which Deno sends once: a text body may be sent twice (denoland/deno#32566).
  if (json !== undefined) {
    return { body: new Blob([JSON.stringify(json)], { type: "application/json" }) };
  }
  if (form === undefined) return {};
  if (form instanceof FormData) return { body: form };
  const type = "application/x-www-form-urlencoded;charset=UTF-8";
  return { body: new Blob([new URLSearchParams(form).toString()], { type }) };
}

async function withTimeLimit<T>(
  url: URL,
  timeoutMs: number,
  signal: AbortSignal | null | undefined,
  run: (signal: AbortSignal) => Promise<T>,
  action = `reach ${url.origin}${url.pathname}`,
): Promise<T> {
  signal?.throwIfAborted();
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), timeoutMs);
  try {
    return await run(signal ? AbortSignal.any([signal, limit.signal]) : limit.signal);
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw unreachable(url, action, error, limit.signal.aborted ? timeoutMs : undefined);
  } finally {
    clearTimeout(timer);
  }
}

function unreachable(url: URL, action: string, error: unknown, timeoutMs?: number): Error {
  if (error instanceof ValidMindAuthError) return error;
  if (error instanceof Deno.errors.NotCapable) {
    return new ValidMindAuthError(
      "permission_required",
      `Cannot ${action}: Deno does not permit it. Run with --allow-net=${url.host}.`,
    );
  }
  const reason = timeoutMs === undefined
    ? `the connection failed${error instanceof Error ? ` (${error.name})` : ""}`
    : `there was no answer within ${timeoutMs} ms`;
  return new ValidMindAuthError(
    "api_unreachable",
    `Cannot ${action}: ${reason}. Check apiHost, the network and a proxy, and try again.`,
    { cause: error },
  );
}
