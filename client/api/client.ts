import { isObject } from "../../backends/common/json.ts";
import { printable } from "../../backends/common/printable.ts";
import { redact } from "../../backends/common/redaction.ts";
import { readClaims } from "../entry/claims.ts";
import {
  type ApiChallenge,
  ApiError,
  codeOf,
  invalidOptions,
  ValidMindAuthError,
} from "../errors.ts";
import { named } from "../options/declaration.ts";
import { checkCallOptions, type Runtime } from "../options/resolve_options.ts";
import type { ClientInfo, GetOptions, PostOptions, QueryParams } from "../session.ts";
import {
  type ApiCredentials,
  type ApiRequest,
  type ApiTransport,
  apiTransport,
  isReplayable,
  type OwnHeaders,
} from "./transport.ts";

export interface RenewalOptions {
  rejected?: OwnHeaders;
  signal?: AbortSignal | undefined;
}

interface ApiClientOptions {
  /** Base URL, with a trailing slash. */
  apiHost: string | undefined;
  runtime: Runtime;
  /** Whether all requests use Deno's own `fetch`. */
  isFetchNative: boolean;
  /** The credentials in memory, the same object until they change; `undefined` without fresh ones. */
  freshCredentials: () => ApiCredentials | undefined;
  credentials: (options: RenewalOptions) => Promise<ApiCredentials>;
  /** Whether refused headers can be replaced by new ones. */
  canRenew: boolean;
  /** Called where the API refuses the new ones as well. */
  onRefusedAgain: () => void;
}

/** More of an error than its excerpt needs. The rest is not read. */
const MAX_ERROR_BYTES = 64 * 1024;

/** The parameters of `WWW-Authenticate`, and those by which a program can sign in again. */
const PARAMETERS = /([\w-]+)=(?:"((?:\\.|[^"\\])*)"|([^\s,"]+))/g;
const CHALLENGE = ["error", "acr_values", "max_age", "claims"];

const MAX_KNOWN = 32;

const GET: Readonly<RequestInit> = { method: "GET" };
const POST_TYPES = { params: "object", json: "any", form: "object", signal: "signal" } as const;

export class ApiClient {
  readonly #options: ApiClientOptions;
  readonly #transport: ApiTransport;
  readonly #origin: string | undefined;
  /** By the caller's path. */
  readonly #known = new Map<string, ApiRequest>();

  constructor(options: ApiClientOptions) {
    const { apiHost, runtime, isFetchNative } = options;
    this.#options = options;
    this.#transport = apiTransport(runtime, isFetchNative);
    this.#origin = apiHost && new URL(apiHost).origin;
  }

  /** Drops the requests in memory, which hold credentials. */
  forget(): void {
    this.#known.clear();
  }

  /** See `Session.fetch`. */
  async fetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
    const request = init === undefined && typeof input === "string"
      ? this.#know(input)
      : this.#request(input, init);
    return await this.#exchange(request);
  }

  /** See `Session.get`. */
  async get(path: string, params?: QueryParams, options?: GetOptions): Promise<unknown> {
    const isPlain = params === undefined && options === undefined && typeof path === "string";
    if (isPlain) return await this.#json(this.#know(path));
    return await this.#json(this.#withParams(path, params, { method: "GET", ...options }));
  }

  /** See `Session.post`. */
  async post(path: string, options: PostOptions = {}): Promise<unknown> {
    checkCallOptions("POST", options, POST_TYPES);
    const { params = {}, json, form, signal } = options;
    if (json !== undefined && form !== undefined) {
      throw invalidOptions({
        action: "POST",
        reason: "json and form exclude each other",
        remedy: "Give one of them.",
      });
    }
    const init = { method: "POST", signal, ...postBody(json, form) };
    return await this.#json(this.#withParams(path, params, init));
  }

  #withParams(path: string, params: QueryParams = {}, init: RequestInit): ApiRequest {
    const url = this.resolve(path);
    for (const [name, value] of Object.entries(params)) {
      if (value !== undefined) url.searchParams.append(name, String(value));
    }
    return { url, init };
  }

  async #json(request: ApiRequest): Promise<unknown> {
    const action = actionOf(request);
    const response = await this.#exchange(request);
    if (!response.ok) throw await this.#apiError(request, response);
    const text = await this.#transport.readText(request, response, action);
    if (text === "") return undefined;
    try {
      return JSON.parse(text);
    } catch {
      throw new ApiError(
        {
          action,
          reason: `the API answered ${response.status} with a text that is not JSON`,
          remedy: `Check ${named("apiHost")}.`,
        },
        response.status,
        this.#excerpt(text),
      );
    }
  }

  /** Sends a request, and after a 401 once more with new credentials. */
  async #exchange(request: ApiRequest): Promise<Response> {
    const { url, init } = request;
    const signal = init.signal ?? undefined;
    const credentials = this.#options.freshCredentials() ??
      await this.#options.credentials({ signal });
    const response = await this.#transport.send(request, credentials);
    if (response.status !== 401 || !this.#options.canRenew) return response;
    // After a redirect to another origin, a 401 is not about the session's token.
    if ((URL.parse(response.url) ?? url).origin !== url.origin) return response;
    const wantsNonce = response.headers.get("www-authenticate")?.includes("use_dpop_nonce");
    if (!isReplayable(init.body)) {
      const first = wantsNonce ? "" : "call accessToken({ forceRefresh: true }), then ";
      const advice =
        `The body is a stream, which cannot be sent again: ${first}send it with a new stream.`;
      throw await this.#apiError(request, response, advice);
    }
    const { headers } = credentials;
    const renewed = wantsNonce ? undefined : await this.#renew(headers, response, signal);
    if (renewed === undefined) return response;
    await response.body?.cancel();
    this.#options.runtime.emit?.({ type: "api_retry", status: response.status });
    const again = await this.#transport.send({ url, init }, renewed);
    if (again.status === 401) this.#options.onRefusedAgain();
    return again;
  }

  #request(input: string | URL | Request, init: RequestInit = {}): ApiRequest {
    if (!(input instanceof Request)) return { url: this.resolve(input), init: { ...init } };
    const { url, method, headers, body, signal, redirect } = input;
    const streamed = body !== null && { duplex: "half" }; // Node asks for it
    const own = { method, headers, body, signal, redirect, ...streamed };
    return { url: this.resolve(url), init: { ...own, ...init } };
  }

  /** A GET without options, which programs often repeat. Its URL is checked once. */
  #know(input: string): ApiRequest {
    const known = this.#known.get(input);
    if (known !== undefined) {
      known.isRepeated = true;
      return known;
    }
    const request = { url: this.resolve(input), init: GET };
    if (!this.#options.isFetchNative) return request; // another fetch may change the URL
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(input, request);
    return request;
  }

  /**
   * Reads a caller's URL once into a plain one, and checks that it has the API's origin. The caller's
   * object may change later, or show one address and send another.
   */
  resolve(input: string | URL): URL {
    const { apiHost } = this.#options;
    const url = URL.parse(String(input), apiHost);
    if (url !== null && url.origin === this.#origin) return url;
    if (apiHost === undefined) {
      throw new ValidMindAuthError("wrong_origin", {
        action: "make the request",
        reason: "the session has no API to send its token to",
        remedy: `Set ${named("apiHost")}, or use globalThis.fetch().`,
      });
    }
    if (url === null) {
      throw invalidOptions({
        action: "make the request",
        reason: "its address is not a URL",
        remedy: "Give a path below apiHost, or a whole URL.",
      });
    }
    throw new ValidMindAuthError("wrong_origin", {
      action: `request ${url.origin}`,
      reason: `the session sends its token to ${this.#origin} only`,
      remedy: "Use globalThis.fetch(), or a session of its own for that API.",
    });
  }

  async #renew(
    rejected: OwnHeaders,
    response: Response,
    signal: AbortSignal | undefined,
  ): Promise<ApiCredentials | undefined> {
    try {
      return await this.#options.credentials({ rejected, signal });
    } catch (error) {
      // The 401 itself says this. It would hide other errors, such as a full disk.
      if (codeOf(error).code === "login_required") return undefined;
      await response.body?.cancel();
      throw error;
    }
  }

  async #apiError(request: ApiRequest, response: Response, advice?: string): Promise<ApiError> {
    const { status } = response;
    const action = actionOf(request);
    const text = await this.#transport.readText(request, response, action, MAX_ERROR_BYTES);
    const body = this.#excerpt(text);
    const reason = `the API answered ${status} (${printable(body) || "no text"})`;
    const remedy = advice ?? adviceOn(status, this.#options.canRenew);
    return new ApiError({ action, reason, remedy }, status, body, this.#challengeOf(response));
  }

  /** The demand of an answer. Microsoft Entra sends the claims in base64. */
  #challengeOf({ headers }: Response): ApiChallenge | undefined {
    const header = (headers.get("www-authenticate") ?? "").slice(0, 10_000);
    const pairs = [...header.matchAll(PARAMETERS)].flatMap(([, name = "", quoted, plain = ""]) => {
      if (!CHALLENGE.includes(name)) return [];
      const text = quoted?.replace(/\\(.)/g, "$1") ?? plain;
      const claims = name === "claims" ? readClaims(`.${text}`) : undefined;
      return [[name, this.#excerpt(claims === undefined ? text : JSON.stringify(claims))]];
    });
    return pairs.length === 0 ? undefined : Object.fromEntries(pairs);
  }

  /** The beginning of an answer, without what the session knows, which an API may echo. */
  #excerpt(text: string): string {
    return redact(text.slice(0, 10_000), this.#options.runtime.secrets).slice(0, 2000);
  }
}

/** "GET https://api.example.com/ping", for messages. */
function actionOf({ url, init }: ApiRequest): string {
  return `${init.method} ${url.origin}${url.pathname}`;
}

function adviceOn(status: number, canRenew: boolean): string {
  const host = named("apiHost");
  if (status === 401) {
    return canRenew
      ? `Check ${named("audience")} and ${named("scope")}. Sign out with ` +
        "clearOidcCredentials(), and sign in again."
      : `Check ${named("apiKey")} and ${named("apiSecret")}, and that ${host} is the API ` +
        "that they are for.";
  }
  if (status === 404) return `Check the path, ${host} and the model.`;
  return status === 429 || status >= 500
    ? "Try again later, then ask the API's administrator."
    : "Check the request, and what you may access.";
}

/** The body of a POST: replayable, and of a kind that `fetch` does not send twice by itself. */
function postBody(json: unknown, form: PostOptions["form"]): RequestInit {
  // Deno sends a Blob once, and a text body possibly twice (denoland/deno#32566).
  if (json !== undefined) {
    return { body: new Blob([JSON.stringify(json)], { type: "application/json" }) };
  }
  if (form === undefined || form instanceof FormData) return { body: form };
  const fields = form instanceof URLSearchParams ? [...form] : Object.entries(form);
  if (fields.some(([, value]) => value instanceof Blob)) {
    const data = new FormData();
    for (const [name, value] of fields) data.append(name, value);
    return { body: data };
  }
  const text = new URLSearchParams(fields as [string, string][]).toString();
  return { body: new Blob([text], { type: "application/x-www-form-urlencoded;charset=UTF-8" }) };
}

/** Reads the API's answer to a ping. Absent and malformed parts are empty. */
export function readClientInfo(answer: unknown): ClientInfo {
  const { model, feature_flags, documentation_template, document_type } = object(answer);
  return {
    model: object(model),
    featureFlags: object(feature_flags),
    documentationTemplate: object(documentation_template),
    documentType: typeof document_type === "string" ? document_type : "model_documentation",
  };
}

function object(value: unknown): Record<string, unknown> {
  return isObject(value) ? value : {};
}
