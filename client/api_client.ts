import { netHost } from "../backends/hosts.ts";
import { followRedirects, isReplayable, type OwnHeaders } from "./api_transport.ts";
import { ApiError, ValidMindAuthError } from "./errors.ts";
import { printable, readText, redact, safeCause } from "./printable.ts";
import { checkCallOptions, type Runtime } from "./resolve_options.ts";
import type { ClientInfo, GetOptions, PostOptions, QueryParams } from "./session.ts";
import type { SignedInSession } from "./signed_in_session.ts";

/** What a session's requests are made with. */
export interface ApiCredentials {
  headers: OwnHeaders;
  /** The `fetch` that goes with them. */
  fetch: typeof globalThis.fetch;
}

/** What a session's credentials are wanted for. */
export interface RenewalOptions {
  /** A set of headers that the API refused. */
  rejected?: OwnHeaders;
  signal?: AbortSignal | undefined;
}

/** What {@linkcode ApiClient} is told. */
export interface ApiClientOptions {
  /** Base URL, with a trailing slash. */
  apiHost: string | undefined;
  runtime: Runtime;
  credentials: (options: RenewalOptions) => Promise<ApiCredentials>;
  /** Whether a refused set of headers can be replaced by a better one. */
  canRenew: boolean;
}

/** More than is kept of an error: a secret that is cut short could not be found and taken out. */
const MAX_ERROR_BYTES = 64 * 1024;

const STREAM_ADVICE = "The body is a stream, which cannot be sent again: call " +
  "accessToken({ forceRefresh: true }), then send it with a new stream.";

const NONCE_ADVICE =
  "The body is a stream, which cannot be sent again, and the API asks for a new proof: " +
  "send it with a new stream.";

const POST_TYPES = { params: "object", json: "any", form: "object", signal: "object" };

/** Makes a session's requests. */
export class ApiClient {
  readonly #options: ApiClientOptions;
  readonly #origin: string | undefined;

  constructor(options: ApiClientOptions) {
    this.#options = options;
    if (options.apiHost !== undefined) this.#origin = new URL(options.apiHost).origin;
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
    checkCallOptions("POST", options, POST_TYPES);
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
    const url = this.resolve(path);
    for (const [name, value] of Object.entries(params)) {
      if (value !== undefined) url.searchParams.append(name, String(value));
    }
    const action = `${init.method} ${url.pathname}`;
    const { response, headers } = await this.#exchange(url, init);
    const signal = init.signal ?? undefined;
    if (!response.ok) throw await this.#apiError(action, response, headers, signal);
    const text = await this.#read(response, action, signal);
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
    const signal = request.signal ?? undefined;
    const credentials = await this.#options.credentials({ signal });
    const { headers } = credentials;
    const { response, isOwn } = await this.#send(url, request, credentials);
    // A 401 from elsewhere, after a redirect, says nothing of the session's token.
    const isFinal = response.status !== 401 || !isOwn || !this.#options.canRenew;
    const isAboutToken = !isFinal && !isNonceChallenge(response);
    if (!isFinal && !isReplayable(request.body)) {
      const action = `${request.method} ${url.pathname}`;
      const advice = isAboutToken ? STREAM_ADVICE : NONCE_ADVICE;
      throw await this.#apiError(action, response, headers, signal, advice);
    }
    const renewed = isAboutToken ? await this.#renew(headers, response, signal) : undefined;
    if (renewed === undefined) return { response, headers };
    await response.body?.cancel();
    this.#options.runtime.emit?.({ type: "api_retry", status: response.status });
    const retried = await this.#send(url, request, renewed);
    return { response: retried.response, headers: renewed.headers };
  }

  #prepare(input: string | URL | Request, init: RequestInit) {
    if (!(input instanceof Request)) return { url: this.resolve(input), request: init };
    const { method, headers, body, signal, redirect } = input;
    return {
      url: this.resolve(input.url),
      request: { method, headers, body, signal, redirect, ...init },
    };
  }

  /** The URL of a request, which has to be of the API's own origin. */
  resolve(input: string | URL): URL {
    const { apiHost } = this.#options;
    const url = input instanceof URL ? input : URL.parse(input, apiHost);
    if (url === null) {
      throw new ValidMindAuthError(
        "invalid_options",
        `Cannot request ${JSON.stringify(printable(String(input)))}: it is no URL` +
          `${apiHost === undefined ? ", and the session has no apiHost. Pass apiHost" : ""}.`,
      );
    }
    if (apiHost !== undefined && url.origin === this.#origin) return url;
    throw new ValidMindAuthError(
      "wrong_origin",
      `Cannot request ${url.origin}: the session sends its token to ` +
        `${this.#origin ?? "no API, since it has no apiHost"} ` +
        `only. Use fetch() itself, or a session of its own for that API.`,
    );
  }

  async #renew(
    rejected: OwnHeaders,
    response: Response,
    signal: AbortSignal | undefined,
  ): Promise<ApiCredentials | undefined> {
    try {
      return await this.#options.credentials({ rejected, signal });
    } catch (error) {
      // Then the 401 itself tells the caller. Anything else, such as a full disk, it would hide.
      if (error instanceof ValidMindAuthError && error.code === "login_required") return undefined;
      await response.body?.cancel();
      throw error;
    }
  }

  async #send(url: URL, init: RequestInit, { headers, fetch }: ApiCredentials) {
    const { timeoutMs } = this.#options.runtime;
    return await withTimeLimit(url, timeoutMs, init.signal, async (signal) => {
      return await followRedirects(fetch, url, { ...init, signal }, headers);
    });
  }

  async #apiError(
    action: string,
    response: Response,
    sent: OwnHeaders,
    signal: AbortSignal | undefined,
    advice: string = adviceFor(response.status),
  ): Promise<ApiError> {
    const { status } = response;
    const body = excerpt(await this.#read(response, action, signal, MAX_ERROR_BYTES), sent);
    const said = printable(body) || "no text";
    return new ApiError(
      `Cannot ${action}: the API answered ${status} (${said}). ${advice}`,
      status,
      body,
    );
  }

  async #read(
    response: Response,
    action: string,
    signal: AbortSignal | undefined,
    maxBytes?: number,
  ): Promise<string> {
    const url = new URL(this.#options.apiHost!);
    const { timeoutMs } = this.#options.runtime;
    const read = async (limit: AbortSignal) =>
      await readText(response, limit, maxBytes, "cut") ?? "";
    return await withTimeLimit(url, timeoutMs, signal, read, action);
  }
}

function isNonceChallenge(response: Response): boolean {
  return response.headers.get("www-authenticate")?.includes("use_dpop_nonce") === true;
}

function adviceFor(status: number): string {
  return status === 401
    ? "Run init() again to sign in, and check audience and scope."
    : "Check the request and your access to the model.";
}

/** The beginning of an answer; an API may echo what it was sent, so credentials are taken out. */
function excerpt(text: string, sent: OwnHeaders): string {
  const names = ["authorization", "x-api-key", "x-api-secret"];
  const secrets = names.flatMap((name) => sent[name]?.replace(/^(Bearer|DPoP) /, "") ?? []);
  return redact(text.slice(0, 10_000), secrets).slice(0, 2000);
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

/** The body of a POST: one that can be sent again, and that `fetch` does not by itself send twice. */
function postBody(json: unknown, form: PostOptions["form"]): RequestInit {
  // As a Blob, which Deno sends once: a text body may be sent twice (denoland/deno#32566).
  if (json !== undefined) {
    return { body: new Blob([JSON.stringify(json)], { type: "application/json" }) };
  }
  if (form === undefined) return {};
  if (form instanceof FormData) return { body: form };
  if (!(form instanceof URLSearchParams) && hasFile(form)) return { body: toFormData(form) };
  const type = "application/x-www-form-urlencoded;charset=UTF-8";
  return {
    body: new Blob([new URLSearchParams(form as Record<string, string>).toString()], { type }),
  };
}

function hasFile(form: Record<string, string | Blob>): boolean {
  return Object.values(form).some((value) => value instanceof Blob);
}

function toFormData(form: Record<string, string | Blob>): FormData {
  const data = new FormData();
  for (const [name, value] of Object.entries(form)) data.append(name, value);
  return data;
}

type Json = Record<string, unknown>;

/** Asks the API who is there, and keeps its answer on the session. */
export async function ping(
  session: SignedInSession,
  signal?: AbortSignal,
): Promise<ClientInfo> {
  const answer = object(await session.get("ping", {}, signal === undefined ? {} : { signal }));
  session.info = {
    model: object(answer.model),
    featureFlags: object(answer.feature_flags),
    documentationTemplate: object(answer.documentation_template),
    documentType: typeof answer.document_type === "string"
      ? answer.document_type
      : "model_documentation",
  };
  return session.info;
}

function object(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value as Json : {};
}
