import { parseRetryAfter } from "../../backends/common/http_answer.ts";
import { objectIn } from "../../backends/common/json.ts";
import { printable } from "../../backends/common/printable.ts";
import { redact } from "../../backends/common/redaction.ts";
import { type ApiDemand, ApiError, codeOf, invalidOptions, ValidMindAuthError } from "../errors.ts";
import { named } from "../options/declaration.ts";
import { checkCallOptions, type ResolvedOptions } from "../options/resolve_options.ts";
import type { ClientInfo, GetOptions, PostOptions, QueryParams, Session } from "../session.ts";
import { readDemand } from "./demand.ts";
import {
  actionOf,
  type ApiCredentials,
  type ApiRequest,
  ApiTransport,
  isReplayable,
  type OwnHeaders,
} from "./transport.ts";

export interface RenewalOptions {
  rejected?: OwnHeaders;
  /** The demand behind the refusal. A refresh helps only where it wants claims. */
  demand?: ApiDemand;
  signal?: AbortSignal | undefined;
}

/** Tokens in whose place others can be had. */
interface RenewableTokens {
  /** Whether the sign-in is still stored. */
  isStored(signal?: AbortSignal): Promise<boolean>;
  /** Ends the renewals for a while, where the API has refused new tokens as well. */
  keepQuiet(): void;
  /** The way to sign in as the API demands, where `Session.signIn` is none. */
  remedyFor(demand: ApiDemand): Promise<string | undefined>;
}

interface ApiClientOptions extends Pick<ResolvedOptions, "apiHost" | "passedHost" | "runtime"> {
  credentials: (options: RenewalOptions) => Promise<ApiCredentials>;
  /** Those of the credentials; `undefined` with an API key, which nothing replaces. */
  tokens: RenewableTokens | undefined;
  /** Asks the person for another sign-in, where that is wanted. */
  session?: Session;
}

/** More of an error than its excerpt needs. The rest is not read. */
const MAX_ERROR_BYTES = 64 * 1024;

/**
 * A scope that names an API, by its address or as Microsoft Entra does by its id. It may be another one: a
 * token with its scope would be for that API, and this one would get it.
 */
const NAMES_API = /:\/\/|(^| )[\da-f-]{36}\//i;

export class ApiClient {
  readonly #options: ApiClientOptions;
  readonly #transport: ApiTransport;
  /** The API's own address. */
  readonly #base: URL | undefined;

  constructor(options: ApiClientOptions) {
    const { apiHost, runtime } = options;
    this.#options = options;
    this.#transport = new ApiTransport(runtime);
    if (apiHost !== undefined) this.#base = new URL(apiHost);
  }

  /** See `Session.fetch`. */
  async fetch(input: string | URL | Request, init?: RequestInit) {
    return await this.#exchange(this.#request(input, init));
  }

  /** See `Session.get`. */
  async get(path: string, params?: QueryParams, options?: GetOptions): Promise<unknown> {
    return await this.#json(this.#withParams(path, params, { method: "GET", ...options }));
  }

  /** See `Session.post`. */
  async post(path: string, options: PostOptions = {}): Promise<unknown> {
    checkCallOptions("POST", options, {
      params: "object",
      json: "any",
      form: "object",
      signal: "signal",
    });
    const { params = {}, json, form, signal } = options;
    if (json !== undefined && form !== undefined) {
      throw invalidOptions("POST", "json and form exclude each other", "Give one of them.");
    }
    const init = { method: "POST", signal, body: postBody(json, form) };
    return await this.#json(this.#withParams(path, params, init));
  }

  #withParams(path: string, params: QueryParams = {}, init: RequestInit): ApiRequest {
    const request = this.#request(path, init);
    for (const [name, value] of Object.entries(params)) {
      if (value !== undefined) request.url.searchParams.append(name, String(value));
    }
    return request;
  }

  async #json(request: ApiRequest): Promise<unknown> {
    const response = await this.#exchange(request);
    if (!response.ok) throw await this.#apiError(request, response);
    const text = await this.#transport.readText(request, response);
    if (text === "") return undefined;
    try {
      return JSON.parse(text);
    } catch {
      const { status } = response;
      const reason = `the API answered ${status} with a text that is not JSON`;
      const remedy = `Check ${named("apiHost")}.`;
      const parts = { action: actionOf(request), reason, remedy };
      throw new ApiError(parts, status, this.#excerpt(text));
    }
  }

  /**
   * Sends a request; after a refusal of its token once more with another one, and once more after a
   * sign-in, where the API demands one and the person may be asked.
   */
  async #exchange(request: ApiRequest) {
    const { init } = request;
    const { tokens, session } = this.#options;
    const signal = init.signal ?? undefined;
    const credentials = await this.#options.credentials({ signal });
    let response = await this.#transport.send(request, credentials);
    // After a redirect to another origin, a refusal is not about the session's token.
    if (!tokens || request.isAway) return response;
    let demand = await this.#demandOf(request, response);
    if (!demand && response.status !== 401) return response;
    const wantsNonce = response.headers.get("www-authenticate")?.includes("use_dpop_nonce");
    if (!isReplayable(init.body)) {
      const first = wantsNonce ? "" : "call accessToken({ forceRefresh: true }), then ";
      const advice =
        `The body is a stream, which cannot be sent again: ${first}send it with a new stream.`;
      throw await this.#apiError(request, response, demand, advice);
    }
    if (wantsNonce) return response;
    const renewed = await this.#renew({ rejected: credentials.headers, demand, signal }, response);
    if (renewed) {
      response = await this.#sendAgain(request, response, renewed);
      demand = await this.#demandOf(request, response);
    }
    // The person is asked once: another demand is an error.
    if (demand && session && !NAMES_API.test(demand.scope ?? "")) {
      await session.signIn({ for: { demand }, signal });
      const other = await this.#options.credentials({ signal });
      response = await this.#sendAgain(request, response, other);
      demand = await this.#demandOf(request, response);
    }
    if (!demand) return response;
    throw await this.#apiError(request, response, demand);
  }

  async #sendAgain(request: ApiRequest, refused: Response, credentials: ApiCredentials) {
    await refused.body?.cancel();
    this.#options.runtime.emit?.({ type: "api_retry", status: refused.status });
    const again = await this.#transport.send(request, credentials);
    if (again.status === 401) this.#options.tokens?.keepQuiet();
    return again;
  }

  /** The demand of an answer. One that echoes what the session knows is none. */
  async #demandOf({ isAway }: ApiRequest, { status, headers }: Response) {
    const begin = "insufficient_"; // RFC 9470, Microsoft Entra, RFC 6750
    if (isAway || ![401, 403].includes(status)) return undefined;
    if (!headers.get("www-authenticate")?.includes(begin)) return undefined;
    const { findChallenge } = await import("./api_metadata.ts");
    const demand = readDemand(await findChallenge(headers, "error", begin));
    const text = JSON.stringify(demand ?? "");
    if (redact(text, this.#options.runtime.secrets) === text) return demand;
    return undefined;
  }

  #request(input: string | URL | Request, init: RequestInit = {}): ApiRequest {
    if (!(input instanceof Request)) {
      return {
        url: this.resolve(input, init.method),
        init: { ...init, body: sentOnce(init.body) },
      };
    }
    const { url, method, headers, body, signal, redirect } = input;
    const streamed = body !== null && { duplex: "half" }; // Node asks for it
    const own = { method, headers, body, signal, redirect, ...streamed };
    return this.#request(url, { ...own, ...init });
  }

  /**
   * Reads a caller's URL once into a plain one, and checks that it has the API's origin. The caller's
   * object may change later, or show one address and send another.
   */
  resolve(input: string | URL, method?: string) {
    const base = this.#base;
    const text = String(input);
    const url = URL.parse(text, base);
    // Not by the origin of the URL: a blob: has that of its maker, and a user's name goes beside the bearer.
    if (base && url?.href.startsWith(`${base.origin}/`)) {
      if (/^\s*[/\\]/.test(text)) putBelow(base, url);
      return url;
    }
    throw refusedAddress(base, url, method, this.#options.passedHost);
  }

  async #renew(options: RenewalOptions, response: Response) {
    try {
      return await this.#options.credentials(options);
    } catch (error) {
      const wantsPerson = codeOf(error).code === "login_required";
      // While the sign-in is stored, each start would meet the refusal: only a sign-out ends that. The
      // refusal would hide other errors, such as a sign-out elsewhere or a full disk.
      if (wantsPerson && (options.demand || await this.#options.tokens?.isStored(options.signal))) {
        return undefined;
      }
      await response.body?.cancel();
      throw error;
    }
  }

  async #apiError(
    request: ApiRequest,
    response: Response,
    demand?: ApiDemand,
    advice?: string,
  ) {
    const { tokens } = this.#options;
    const { status, headers } = response;
    const text = await this.#transport.readText(request, response, MAX_ERROR_BYTES);
    const body = this.#excerpt(text);
    const json = JSON.stringify(demand);
    const parts = {
      action: actionOf(request),
      reason: `the API answered ${status} (${printable(body) || "no text"})`,
      remedy: advice ?? adviceOn(status, tokens !== undefined),
      retryAfterMs: parseRetryAfter(headers.get("retry-after")),
      ...demand && {
        reason: `the API demands another sign-in: ${json}`,
        remedy: await tokens?.remedyFor(demand) ??
          "Call session.signIn({ for: error }), and repeat the call. In a notebook: " +
            `await session.signIn({ for: { demand: ${json} } });`,
      },
    };
    return new ApiError(parts, status, body, demand);
  }

  /** The beginning of an answer, without what the session knows, which an API may echo. */
  #excerpt(text: string) {
    return redact(text, this.#options.runtime.secrets).slice(0, 2000);
  }
}

/** Lets a path that begins with a slash count from the API's own path. */
function putBelow(base: URL, url: URL) {
  const isBelow = `${url.pathname}/`.startsWith(base.pathname);
  if (!isBelow) url.pathname = base.pathname + url.pathname.slice(1);
}

/** The error for an address that no token is sent to. */
function refusedAddress(
  base: URL | undefined,
  url: URL | null,
  method: string | undefined,
  passedHost = "the session has no API to send its token to",
) {
  if (!base) {
    return new ValidMindAuthError("wrong_origin", {
      action: "make the request",
      reason: passedHost,
      remedy: `Set ${named("apiHost")}.`,
    });
  }
  if (!url) {
    return invalidOptions(
      "make the request",
      "its address is not a URL",
      "Give a path below apiHost, or a whole URL.",
    );
  }
  return new ValidMindAuthError("wrong_origin", {
    action: actionOf({ url, init: { method } }),
    reason: `the session sends its token to ${base.origin} only`,
    remedy: `Another API needs a session of its own, with its ${named("apiHost")}.`,
  });
}

function adviceOn(status: number, canRenew: boolean) {
  const host = named("apiHost");
  if (status === 401 && canRenew) {
    return `Check ${named("audience")} and ${named("scope")}. Sign out with ` +
      "session.clear() (validmind-auth logout), and sign in again.";
  }
  if (status === 401) {
    return `Check ${named("apiKey")} and ${named("apiSecret")}, and that ${host} is the API ` +
      "that they are for.";
  }
  if (status === 404) return `Check the path, ${host} and the model.`;
  if (status !== 429 && status < 500) return "Check the request, and what you may access.";
  return "Try again later, then ask the API's administrator.";
}

/** The body of a POST. It can be sent again. */
function postBody(json: unknown, form: PostOptions["form"]): BodyInit | undefined {
  if (json !== undefined) return new Blob([JSON.stringify(json)], { type: "application/json" });
  if (form === undefined || form instanceof FormData || form instanceof URLSearchParams) {
    return form;
  }
  const hasFile = Object.values(form).some((value) => value instanceof Blob);
  const fields = hasFile ? new FormData() : new URLSearchParams();
  for (const [name, value] of Object.entries(form)) (fields as FormData).append(name, value);
  return fields;
}

/** A body that Deno sends once: a text or bytes possibly twice (denoland/deno#32566), and a Blob once. */
function sentOnce(body: BodyInit | null | undefined): BodyInit | null | undefined {
  if (typeof body === "string") return new Blob([body], { type: "text/plain;charset=UTF-8" });
  if (body instanceof URLSearchParams) {
    const type = "application/x-www-form-urlencoded;charset=UTF-8";
    return new Blob([body.toString()], { type });
  }
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return new Blob([body]);
  return body;
}

/** Reads the API's answer to a ping. Absent and malformed parts are empty. */
export function readClientInfo(answer: unknown): ClientInfo {
  const { model, feature_flags, documentation_template, document_type } = objectIn(answer);
  return {
    model: objectIn(model),
    featureFlags: objectIn(feature_flags),
    documentationTemplate: objectIn(documentation_template),
    documentType: typeof document_type === "string" ? document_type : "model_documentation",
  };
}
