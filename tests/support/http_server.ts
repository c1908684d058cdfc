/** A server on loopback. */
export type HttpServer = ReturnType<typeof startHttpServer>;

/** Answers one request. `request.signal` aborts when the client leaves or the server closes. */
export type HttpHandler = (request: Request) => Response | Promise<Response>;

const LOOPBACK = { hostname: "127.0.0.1", port: 0 };
const resets = new WeakSet<Response>();

/** A JSON answer. */
export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
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
export function truncated(text: string): Response {
  const chunk = new TextEncoder().encode(text);
  const body = ReadableStream.from((async function* () {
    yield chunk;
    throw new Error("Truncated on purpose");
  })());
  const length = String(chunk.length + 100);
  const headers = { "content-type": "application/json", "content-length": length };
  return new Response(body, { headers });
}

/** Starts an HTTP server on a free loopback port. */
export function startHttpServer(handler: HttpHandler) {
  // No server of Deno's drops a connection: what stands before it does.
  const connections = new Map<number, AbortController>();
  const closing = new AbortController();
  const server = Deno.serve({
    ...LOOPBACK,
    signal: closing.signal,
    onListen() {},
    onError: (error) => new Response(String(error), { status: 500 }),
  }, async (request, { remoteAddr }) => {
    const connection = connections.get(remoteAddr.port)!;
    const response = await handler(await read(request, connection.signal));
    if (resets.has(response)) connection.abort();
    return response;
  });
  const listener = Deno.listen(LOOPBACK);
  const passing: Promise<unknown>[] = [];
  const accepting = (async () => {
    for await (const outer of listener) {
      const inner = await Deno.connect({ ...LOOPBACK, port: server.addr.port });
      const connection = new AbortController();
      connections.set(inner.localAddr.port, connection);
      const end = () => connection.abort();
      const pass = (from: Deno.Conn, to: Deno.Conn) =>
        from.readable.pipeTo(to.writable, { signal: connection.signal }).then(end, end);
      passing.push(pass(outer, inner), pass(inner, outer));
    }
  })();
  return {
    /** `http://127.0.0.1:<port>` */
    origin: `http://127.0.0.1:${listener.addr.port}`,
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepting;
      for (const connection of connections.values()) connection.abort();
      await Promise.all(passing);
      closing.abort(); // on Deno 2.7 server.shutdown() may never end after an aborted request
      await server.finished;
    },
  };
}

/** The request with all of its body, and a signal that aborts when the connection ends. */
async function read(request: Request, signal: AbortSignal): Promise<Request> {
  const { method, url, headers } = request;
  const body = await request.arrayBuffer();
  return new Request(url, { method, headers, signal, ...(body.byteLength > 0 && { body }) });
}
