import { HttpConnection } from "./http_connection.ts";

/** A server on loopback. */
export type HttpServer = Awaited<ReturnType<typeof startHttpServer>>;

/** Answers one request. `request.signal` aborts when the client leaves or the server closes. */
export type HttpHandler = (request: Request) => Response | Promise<Response>;

const resets = new WeakSet<Response>();

/** A JSON answer. */
export function json(
  body: unknown,
  status = 200,
  headers: Record<string, string> = {},
): Response {
  return Response.json(body, { status, headers: { "cache-control": "no-store", ...headers } });
}

/**
 * An answer that is none: the server drops the TCP connection instead.
 *
 * Deno's `fetch` answers a drop of a connection that it had used before by sending the request once
 * more, POST or not, unless the body is a `Blob` or a stream (denoland/deno#32566).
 */
export function resetConnection(): Response {
  const response = new Response(null);
  resets.add(response);
  return response;
}

/** An answer that never comes: it waits until the client gives up or the server closes. */
export function hang(request: Request): Promise<Response> {
  const { promise, resolve } = Promise.withResolvers<Response>();
  if (request.signal.aborted) resolve(resetConnection());
  request.signal.addEventListener("abort", () => resolve(resetConnection()), { once: true });
  return promise;
}

/** An answer whose connection drops after `text`, before the promised length is reached. */
export function truncated(text: string, contentType = "application/json"): Response {
  const chunk = new TextEncoder().encode(text);
  const body = ReadableStream.from((async function* () {
    yield chunk;
    throw new Error("Truncated on purpose");
  })());
  const length = String(chunk.length + 100);
  return new Response(body, {
    headers: { "content-type": contentType, "content-length": length },
  });
}

/** Starts an HTTP server on a free loopback port. */
export function startHttpServer(handler: HttpHandler, port = 0) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port });
  const closing = new AbortController();
  const open = new Set<HttpConnection>();
  const listening = (async () => {
    for await (const conn of listener) {
      const connection = new HttpConnection(conn);
      open.add(connection);
      void serve(handler, connection, closing.signal).finally(async () => {
        await connection.close();
        open.delete(connection);
      });
    }
  })();
  return Promise.resolve({
    /** `http://127.0.0.1:<port>` */
    origin: `http://127.0.0.1:${listener.addr.port}`,
    async [Symbol.asyncDispose]() {
      closing.abort();
      listener.close();
      await listening;
      await Promise.all(Array.from(open, (connection) => connection.close()));
    },
  });
}

/** Answers the requests of one connection, up to the one that ends it. */
async function serve(
  handler: HttpHandler,
  connection: HttpConnection,
  closing: AbortSignal,
): Promise<void> {
  for (let isOpen = true; isOpen;) {
    const request = await connection.request(closing);
    if (request === undefined) return;
    const response = await respond(handler, request);
    // A client that has left takes no answer.
    isOpen = !resets.has(response) && await connection.answer(response).catch(() => false);
  }
}

async function respond(handler: HttpHandler, request: Request): Promise<Response> {
  try {
    return await handler(request);
  } catch (error) {
    return new Response(String(error), { status: 500 });
  }
}
