import { ValidMindAuthError } from "./errors.ts";

/**
 * A session's own headers, by lower-case name. Not a `Headers` object: `fetch` takes a quarter longer
 * to read one than a plain object.
 */
export type OwnHeaders = Readonly<Record<string, string>>;

/** As many as browsers follow. */
const MAX_HOPS = 20;

/**
 * `fetch`, following redirects by itself: the session's own headers go to the first URL's origin
 * only, and once a redirect has left it they are not added again (fetch would keep `X-API-KEY`).
 *
 * @param own The session's headers, over those of `init`.
 * @returns The answer, and whether it came from the first URL's origin by no way round.
 */
export async function followRedirects(
  fetch: typeof globalThis.fetch,
  first: URL,
  init: RequestInit,
  own: OwnHeaders,
): Promise<{ response: Response; isOwn: boolean }> {
  let url = first;
  let request = init;
  let headers: HeadersInit = init.headers === undefined ? own : merge(init.headers, own);
  let isOwn = true;
  for (let hops = 0;; hops++) {
    const response = await fetch(url, { ...request, headers, redirect: "manual" });
    const next = redirectTarget(response, url);
    if (next === undefined || init.redirect === "manual") return { response, isOwn };
    if (init.redirect === "error" || hops === MAX_HOPS) throw await refuse(response, url, hops);
    const rewritten = rewrite(response.status, request, headers);
    if (rewritten === undefined) return { response, isOwn };
    await response.body?.cancel();
    isOwn &&= next.origin === first.origin;
    headers = next.origin === url.origin
      ? rewritten.headers
      : withoutSecrets(rewritten.headers, own);
    request = rewritten.request;
    url = next;
  }
}

/** Whether a body is the same when it is sent again; a stream or a generator is then empty. */
export function isReplayable(body: unknown): boolean {
  return body === undefined || body === null || typeof body === "string" || body instanceof Blob ||
    body instanceof ArrayBuffer || ArrayBuffer.isView(body) || body instanceof URLSearchParams ||
    body instanceof FormData;
}

function merge(headers: HeadersInit, own: OwnHeaders): Headers {
  const merged = new Headers(headers);
  for (const [name, value] of Object.entries(own)) merged.set(name, value);
  return merged;
}

function redirectTarget(response: Response, url: URL): URL | undefined {
  if (![301, 302, 303, 307, 308].includes(response.status)) return undefined;
  const location = response.headers.get("location");
  const next = location === null ? null : URL.parse(location, url);
  return next !== null && /^https?:$/.test(next.protocol) ? next : undefined;
}

/** The next request, as the fetch standard has it; `undefined` when a body cannot be sent again. */
function rewrite(status: number, request: RequestInit, headers: HeadersInit) {
  const method = request.method?.toUpperCase() ?? "GET";
  const becomesGet = (status === 303 && method !== "HEAD") ||
    ((status === 301 || status === 302) && method === "POST");
  if (!becomesGet) {
    return isReplayable(request.body) ? { request, headers } : undefined;
  }
  const { body: _, ...rest } = request;
  const bare = new Headers(headers);
  for (const name of ["content-type", "content-length", "content-encoding"]) bare.delete(name);
  return { request: { ...rest, method: "GET" }, headers: bare };
}

function withoutSecrets(headers: HeadersInit, own: OwnHeaders): Headers {
  const bare = new Headers(headers);
  for (const name of [...Object.keys(own), "authorization", "cookie", "proxy-authorization"]) {
    bare.delete(name);
  }
  return bare;
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
