import {
  type ApiCredentials,
  type ApiRequest,
  ApiTransport,
  isReplayable,
  type OwnHeaders,
} from "./transport.ts";
import { ApiError, ValidMindAuthError } from "../errors.ts";
import { printable } from "../../backends/common/printable.ts";
import { redact } from "../../backends/common/redact.ts";
import { checkCallOptions } from "../options/resolve_options.ts";
import type { Runtime } from "../options/runtime.ts";
import type { ClientInfo, GetOptions, PostOptions, QueryParams } from "../session.ts";

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
  /** Whether `fetch` is always Deno's own. */
  isFetchNative: boolean;
  /** The credentials at hand, the same object until they change; `undefined` where it takes a wait. */
  freshCredentials: () => ApiCredentials | undefined;
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

/** How many requests are remembered. */
const MAX_KNOWN = 32;

const GET: Readonly<RequestInit> = { method: "GET" };
const POST_TYPES = { params: "object", json: "any", form: "object", signal: "signal" } as const;

/** Makes a session's requests. */
export class ApiClient {
  readonly #options: ApiClientOptions;
  readonly #transport: ApiTransport;
  readonly #origin: string | undefined;
  /** By what the caller asked for. */
  readonly #known = new Map<string, ApiRequest>();

  constructor(options: ApiClientOptions) {
    const { apiHost, runtime, isFetchNative } = options;
    this.#options = options;
    this.#transport = new ApiTransport(runtime.timeoutMs, isFetchNative);
    if (apiHost !== undefined) this.#origin = new URL(apiHost).origin;
  }

  /** Drops what holds a credential. */
  forget(): void {
    this.#known.clear();
  }

  /** See `Session.fetch`. */
  async fetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
    const request = init === undefined && typeof input === "string"
      ? this.#know(input)
      : this.#request(input, init);
    return (await this.#exchange(request)).response;
  }

  /** See `Session.get`. */
  async get(path: string, params?: QueryParams, options?: GetOptions): Promise<unknown> {
    // Not a URL object, which JavaScript may pass: it can become another one under its own name.
    const isPlain = params === undefined && options === undefined && typeof path === "string";
    if (isPlain) return await this.#json(this.#know(path));
    return await this.#json(this.#withParams(path, params, { method: "GET", ...options }));
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
    const request = this.#withParams(path, params, { ...init, ...postBody(json, form) });
    return await this.#json(request);
  }

  #withParams(path: string, params: QueryParams = {}, init: RequestInit): ApiRequest {
    const url = this.resolve(path);
    for (const [name, value] of Object.entries(params)) {
      if (value !== undefined) url.searchParams.append(name, String(value));
    }
    return { url, init };
  }

  async #json(request: ApiRequest): Promise<unknown> {
    const { url, init } = request;
    const action = `${init.method} ${url.pathname}`;
    const { response, headers } = await this.#exchange(request);
    if (!response.ok) throw await this.#apiError(request, response, headers);
    const text = await this.#transport.readText(request, response, action);
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
  async #exchange(request: ApiRequest) {
    const { url, init } = request;
    const signal = init.signal ?? undefined;
    const credentials = this.#options.freshCredentials() ??
      await this.#options.credentials({ signal });
    const { headers } = credentials;
    const { response, isOwn } = await this.#transport.send(request, credentials);
    // A 401 from elsewhere, after a redirect, says nothing of the session's token.
    const isFinal = response.status !== 401 || !isOwn || !this.#options.canRenew;
    const isAboutToken = !isFinal && !isNonceChallenge(response);
    if (!isFinal && !isReplayable(init.body)) {
      const advice = isAboutToken ? STREAM_ADVICE : NONCE_ADVICE;
      throw await this.#apiError(request, response, headers, advice);
    }
    const renewed = isAboutToken ? await this.#renew(headers, response, signal) : undefined;
    if (renewed === undefined) return { response, headers };
    await response.body?.cancel();
    this.#options.runtime.emit?.({ type: "api_retry", status: response.status });
    const retried = await this.#transport.send({ url, init }, renewed);
    return { response: retried.response, headers: renewed.headers };
  }

  #request(input: string | URL | Request, init: RequestInit = {}): ApiRequest {
    if (!(input instanceof Request)) return { url: this.resolve(input), init };
    const { method, headers, body, signal, redirect } = input;
    return {
      url: this.resolve(input.url),
      init: { method, headers, body, signal, redirect, ...init },
    };
  }

  /** A GET without options, which a program often makes again: then its URL is known to be right. */
  #know(input: string): ApiRequest {
    const known = this.#known.get(input);
    if (known !== undefined) {
      known.isRepeated = true;
      return known;
    }
    const request = { url: this.resolve(input), init: GET };
    if (!this.#options.isFetchNative) return request; // another may change the URL that it gets
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(input, request);
    return request;
  }

  /** The URL of a request, which has to be of the API's own origin. */
  resolve(input: string | URL): URL {
    const { apiHost } = this.#options;
    const url = input instanceof URL ? input : URL.parse(input, apiHost);
    if (url === null) {
      throw new ValidMindAuthError(
        "invalid_options",
        `Cannot request ${JSON.stringify(printable(String(input)))}: it is no URL` +
          (apiHost === undefined
            ? ", and the session has no apiHost. Pass apiHost."
            : ". Pass a path below apiHost, or a whole URL."),
      );
    }
    if (apiHost !== undefined && url.origin === this.#origin) return url;
    const why = apiHost === undefined
      ? "the session has no apiHost, so its token goes nowhere. Pass apiHost, or use fetch() itself."
      : `the session sends its token to ${this.#origin} only. Use fetch() itself, or a session of ` +
        `its own for that API.`;
    throw new ValidMindAuthError("wrong_origin", `Cannot request ${url.origin}: ${why}`);
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

  async #apiError(
    request: ApiRequest,
    response: Response,
    sent: OwnHeaders,
    advice: string = adviceFor(response.status),
  ): Promise<ApiError> {
    const { status } = response;
    const action = `${request.init.method} ${request.url.pathname}`;
    const text = await this.#transport.readText(request, response, action, MAX_ERROR_BYTES);
    const body = excerpt(text, sent);
    const said = printable(body) || "no text";
    return new ApiError(
      `Cannot ${action}: the API answered ${status} (${said}). ${advice}`,
      status,
      body,
    );
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

/** The API's answer to a ping, with the parts that it left out or garbled empty. */
export function readClientInfo(answer: unknown): ClientInfo {
  const { model, feature_flags, documentation_template, document_type } = object(answer);
  return {
    model: object(model),
    featureFlags: object(feature_flags),
    documentationTemplate: object(documentation_template),
    documentType: typeof document_type === "string" ? document_type : "model_documentation",
  };
}

function object(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value as Json : {};
}
