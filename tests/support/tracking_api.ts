import { type HttpHandler, json, startHttpServer } from "./http_server.ts";
import { RequestLog } from "./request_log.ts";

/** Options of {@linkcode startTrackingApi}. */
export interface TrackingApiOptions {
  /** Whether a bearer value is good, asked at each request. @default {any is} */
  accepts?: (bearer: string) => boolean | Promise<boolean>;
  /** The issuer that its metadata names. @default {none, and it has no metadata} */
  issuer?: string;
}

/** A running stub of the ValidMind tracking API. */
export type TrackingApi = Awaited<ReturnType<typeof startTrackingApi>>;

const BASE = "/api/v1/tracking/";
const PING = {
  model: { cuid: "model-under-test", name: "Credit Risk Model" },
  feature_flags: { log_figures: true },
  documentation_template: { template_name: "Stub template", sections: [] },
  document_type: "model_documentation",
};

/**
 * Starts the stub. Beside `ping` it knows, all behind the credentials check:
 *
 * - `redirect`: to `?to=` (default: the other origin) with `?status=` (default 302)
 * - `error`: status `?status=` (default 500) and a long HTML page
 * - anything else: echoes method, path, query and body as JSON
 */
export async function startTrackingApi(options: TrackingApiOptions = {}) {
  const log = new RequestLog();
  const otherLog = new RequestLog();
  const script: HttpHandler[] = [];
  const state = { rejecting: 0 };
  const other = await startHttpServer((request) => record(otherLog, request, () => json({})));
  const server = await startHttpServer((request) =>
    record(log, request, async (copy) => {
      const scripted = script.shift();
      if (scripted) return await scripted(copy);
      if (state.rejecting > 0) {
        state.rejecting--;
        return unauthorized();
      }
      const { pathname, origin } = new URL(copy.url);
      if (options.issuer && pathname === `/.well-known/oauth-protected-resource${BASE}`) {
        return json({ resource: origin + BASE, authorization_servers: [options.issuer] });
      }
      return await isAuthorized(copy, options) ? await route(copy, other.origin) : unauthorized();
    })
  );
  return {
    /** `http://127.0.0.1:PORT/api/v1/tracking/` */
    apiHost: server.origin + BASE,
    /** Another origin, on loopback too, where `redirect` leads. */
    otherOrigin: other.origin,
    /** Requests with their bodies. Always the same array. */
    requests: log.entries,
    /** What arrived at the other origin. */
    otherRequests: otherLog.entries,
    /** Handlers for the next requests, first in first out, ahead of all else; each is used once. */
    script,
    /** Lets the next `count` requests answer 401, whatever they carry. */
    reject(count: number) {
      state.rejecting = count;
    },
    /** Empties both request logs. */
    reset() {
      log.reset();
      otherLog.reset();
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await other[Symbol.asyncDispose]();
    },
  };
}

async function record(log: RequestLog, request: Request, handler: HttpHandler): Promise<Response> {
  const entry = log.start(request.method, new URL(request.url), request.headers);
  const copy = request.clone();
  entry.body = await request.text();
  const response = await handler(copy);
  entry.status = response.status;
  return response;
}

async function isAuthorized(request: Request, { accepts = () => true }: TrackingApiOptions) {
  const bearer = /^Bearer (\S+)$/.exec(request.headers.get("authorization") ?? "")?.[1];
  if (bearer !== undefined) return await accepts(bearer);
  return request.headers.get("x-api-key") === "test-api-key" &&
    request.headers.get("x-api-secret") === "test-api-secret";
}

function unauthorized(): Response {
  const body = { code: "invalid_credentials", description: "Invalid API credentials" };
  return json(body, 401, { "www-authenticate": 'Bearer error="invalid_token"' });
}

async function route(request: Request, otherOrigin: string): Promise<Response> {
  const url = new URL(request.url);
  if (!url.pathname.startsWith(BASE)) return json({ code: "not_found" }, 404);
  const status = Number(url.searchParams.get("status") ?? 0);
  switch (url.pathname.slice(BASE.length)) {
    case "ping":
      return json(PING);
    case "redirect": {
      const location = url.searchParams.get("to") ?? `${otherOrigin}/elsewhere`;
      return new Response(null, { status: status || 302, headers: { location } });
    }
    case "error":
      return errorPage(status || 500);
    default:
      return json(await echo(request, url));
  }
}

function errorPage(status: number): Response {
  const filler = "<p>The proxy could not reach the application server.</p>\n".repeat(200);
  const body = `<!DOCTYPE html><html><title>Bad gateway</title><body>\n${filler}</body></html>`;
  return new Response(body, { status, headers: { "content-type": "text/html" } });
}

async function echo(request: Request, url: URL): Promise<Record<string, unknown>> {
  const text = await request.text();
  const type = request.headers.get("content-type") ?? "";
  return {
    method: request.method,
    path: url.pathname.slice(BASE.length),
    query: Object.fromEntries(url.searchParams),
    body: type.startsWith("application/json") ? JSON.parse(text) : text,
  };
}
