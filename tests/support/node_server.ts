import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";

/** A server of `node:http` on loopback. */
export type NodeServer = Awaited<ReturnType<typeof startNodeServer>>;

/** Starts a server on a free port. */
export async function startNodeServer() {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    /** Answers the requests from now on. */
    handle: (listener: RequestListener) => void server.on("request", listener),
    /** Drops the connection of a request that is not answered yet. In Deno 2.7 it reaches nothing. */
    drop: ({ socket }: IncomingMessage) => void socket.destroy(),
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}
