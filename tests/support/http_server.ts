import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A loopback server made by {@linkcode startHttpServer}. */
export interface HttpServer extends AsyncDisposable {
  /** `http://127.0.0.1:<port>` */
  readonly origin: string;
}

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
 * `Deno.serve` gives no access to the connection, which is why these servers run on `node:http`.
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
  let sent = false;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent) return controller.error(new Error("Truncated on purpose"));
      sent = true;
      controller.enqueue(chunk);
    },
  });
  const length = String(chunk.length + 100);
  return new Response(body, {
    headers: { "content-type": contentType, "content-length": length },
  });
}

/** Starts an HTTP server on a free loopback port. */
export async function startHttpServer(handler: HttpHandler, port = 0): Promise<HttpServer> {
  const closing = new AbortController();
  const server = createServer((incoming, outgoing) => {
    void serve(handler, incoming, outgoing, closing.signal);
  });
  // Node's 5 s end while a busy client is about to use a connection again.
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      closing.abort();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function serve(
  handler: HttpHandler,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  closing: AbortSignal,
): Promise<void> {
  const gone = new AbortController();
  outgoing.once("close", () => gone.abort());
  const signal = AbortSignal.any([closing, gone.signal]);
  try {
    const response = await handler(await toRequest(incoming, signal));
    if (resets.has(response)) incoming.socket.destroy();
    else await send(response, outgoing);
  } catch (error) {
    if (!outgoing.headersSent) outgoing.writeHead(500).end(String(error));
    else outgoing.destroy();
  }
}

async function toRequest(incoming: IncomingMessage, signal: AbortSignal): Promise<Request> {
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headersDistinct)) {
    for (const item of value ?? []) headers.append(name, item);
  }
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const method = incoming.method ?? "GET";
  const body = method === "GET" || method === "HEAD" ? undefined : new Blob(chunks);
  return new Request(`http://${incoming.headers.host}${incoming.url}`, {
    method,
    headers,
    ...(body && body.size > 0 ? { body } : {}),
    signal,
  });
}

async function send(response: Response, outgoing: ServerResponse): Promise<void> {
  outgoing.writeHead(response.status, [...response.headers].flat());
  for await (const chunk of response.body ?? []) {
    // Written out before the next one is asked for, which may be where the answer breaks off.
    await new Promise<void>((resolve) => outgoing.write(chunk, () => resolve()));
  }
  outgoing.end();
}
