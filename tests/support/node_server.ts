import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";

/** A server of `node:http` on loopback. */
export interface NodeServer extends AsyncDisposable {
  readonly port: number;
  /** Answers the requests from now on. */
  handle(listener: RequestListener): void;
  /** Drops the connection of a request that is not answered yet. In Deno 2.7 it reaches nothing. */
  drop(request: IncomingMessage, response: ServerResponse): void;
}

/** Starts a server on a free port. */
export async function startNodeServer(): Promise<NodeServer> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    handle: (listener) => void server.on("request", listener),
    drop: ({ socket }) => void socket.destroy(),
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}
