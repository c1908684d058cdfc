import {
  assertSafe,
  connectionAdvice,
  connectionFault,
} from "../../backends/common/connection_fault.ts";
import { causeFrom } from "../../backends/common/foreign_error.ts";
import { netHost } from "../../backends/common/host.ts";
import { readText } from "../../backends/common/http_answer.ts";
import { isNotCapable } from "../../backends/common/permission.ts";
import { runLater, untilAborted } from "../../backends/common/promises.ts";
import { redact, type Secrets } from "../../backends/common/redaction.ts";
import { netDenied, ValidMindAuthError } from "../errors.ts";
import { named } from "../options/declaration.ts";
import type { Runtime } from "../options/resolve_options.ts";

/** A session's own headers, by lower-case name. */
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
  /** Its address in words; without them it is that of the option. */
  place?: string;
  /** Whether a redirect has led its last answer away from the API, and so from the session's headers. */
  isAway?: boolean;
}

/** Sends a session's requests, each within the time limit, and follows redirects. */
export class ApiTransport {
  readonly #runtime: Pick<Runtime, "timeoutMs" | "secrets" | "fetch">;

  constructor(runtime: Pick<Runtime, "timeoutMs" | "secrets" | "fetch">) {
    this.#runtime = runtime;
  }

  /** Gives the answer when it begins. The time limit does not cover its body. */
  async send(request: ApiRequest, credentials: ApiCredentials) {
    const init = withHeaders(request.init, credentials.headers);
    const hop = { ...request, init, isAway: false };
    const response = await this.#within(hop, (signal) => this.#follow(hop, credentials, signal));
    // A caller's `fetch` may follow redirects by itself, and a `Response` of its own has no address.
    const end = URL.parse(response.url) ?? hop.url;
    request.isAway = hop.isAway || end.origin !== hop.url.origin;
    return response;
  }

  /** The body of an answer as text, cut off after `maxBytes`. */
  async readText(request: ApiRequest, response: Response, maxBytes?: number) {
    return await this.#within(request, (signal) => readText(response, signal, maxBytes));
  }

  /**
   * Follows redirects as `fetch` does, but sends the session's own headers to the first URL's origin
   * only. After a redirect has left that origin they are not added again (`fetch` would keep
   * `X-API-KEY`).
   *
   * @param hop The request. It is the one under way, also for the words of an error.
   */
  async #follow(
    hop: ApiRequest,
    { headers: own, fetch }: ApiCredentials,
    signal: AbortSignal,
  ) {
    const { redirect } = hop.init;
    for (let hops = 0;; hops++) {
      // Not by `fetch`: the one of DPoP has the native one below it.
      if (this.#runtime.fetch === globalThis.fetch) assertSafe(hop.url);
      const response = await fetch(hop.url, { ...hop.init, signal, redirect: "manual" });
      const target = redirectTarget(response, hop.url);
      if (!target || redirect === "manual") return response;
      if (redirect === "error") await this.#refuseRedirect(hop, response, "to another address");
      if (hops === MAX_HOPS) await this.#refuseRedirect(hop, response, "without an end");
      const next = rewrite(response.status, hop.init);
      if (!next) return response;
      await response.body?.cancel();
      signal.throwIfAborted(); // a caller's fetch may ignore it
      const isElsewhere = target.origin !== hop.url.origin;
      hop.isAway ||= isElsewhere;
      hop.url = target;
      hop.init = isElsewhere ? withoutSecrets(next, own) : next;
    }
  }

  /** Runs a part of a call. `run` gets a signal that aborts when its time is up, or with the caller's. */
  async #within<T>(request: ApiRequest, run: (signal: AbortSignal) => Promise<T>) {
    const { timeoutMs, secrets } = this.#runtime;
    const given = request.init.signal ?? undefined;
    given?.throwIfAborted();
    const limit = new AbortController();
    using _timer = runLater(timeoutMs, () => limit.abort());
    const signal = AbortSignal.any([limit.signal, given ?? []].flat());
    try {
      return await untilAborted(run(signal), signal); // a caller's fetch may ignore it
    } catch (error) {
      if (given?.aborted) throw given.reason;
      if (error instanceof ValidMindAuthError) throw error;
      throw failedRequest(request, error, secrets, limit.signal.aborted ? timeoutMs : undefined);
    }
  }

  async #refuseRedirect(hop: ApiRequest, response: Response, where: string) {
    await response.body?.cancel();
    throw new ValidMindAuthError("api_unreachable", {
      action: actionOf(hop, this.#runtime.secrets),
      reason: `it redirects ${where}`,
      remedy: "Check the path.",
    });
  }
}

/**
 * "GET https://api.example.com/ping", for messages.
 *
 * @param secrets What an API may repeat in the address of a redirect.
 */
export function actionOf({ url, init }: ApiRequest, secrets: Secrets = []) {
  const place = url.host === "" ? url.protocol : url.origin + url.pathname;
  return redact(`${init.method ?? "GET"} ${place}`, secrets);
}

function failedRequest(
  request: ApiRequest,
  error: unknown,
  secrets: Iterable<string>,
  timeoutMs?: number,
) {
  const action = actionOf(request, secrets);
  if (isNotCapable(error)) return netDenied(action, redact(netHost(request.url), secrets));
  const fault = connectionFault(error, timeoutMs);
  return new ValidMindAuthError("api_unreachable", {
    action,
    reason: fault ?? "the connection failed",
    remedy: `Check ${request.place ?? named("apiHost")}, ${connectionAdvice(fault)}`,
    cause: timeoutMs ? undefined : causeFrom(error, secrets),
  });
}

/** Whether a body can be sent again. A stream or a generator is empty the second time. */
export function isReplayable(body: unknown) {
  if (typeof body !== "object" || body === null) return true;
  return ArrayBuffer.isView(body) || REPLAYABLE.some((one) => body instanceof one);
}

const REPLAYABLE = [Blob, ArrayBuffer, URLSearchParams, FormData];

/** A copy of `init` with the session's headers, since a caller's `fetch` may change its argument. */
function withHeaders(init: RequestInit, own: OwnHeaders): RequestInit {
  const headers = new Headers(init.headers);
  for (const [name, value] of Object.entries(own)) headers.set(name, value);
  return { ...init, headers };
}

function redirectTarget({ status, headers }: Response, url: URL) {
  const location = headers.get("location");
  if (location === null || ![301, 302, 303, 307, 308].includes(status)) return undefined;
  const next = URL.parse(location, url);
  return next && /^https?:$/.test(next.protocol) ? next : undefined;
}

/** The next request by the fetch standard; `undefined` if its body cannot be sent again. */
function rewrite(status: number, request: RequestInit) {
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

function without(names: string[], headers: HeadersInit | undefined) {
  const rest = new Headers(headers);
  for (const name of names) rest.delete(name);
  return rest;
}
