import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { startRelay } from "./tunnels.ts";

/** A server of `node:http` on loopback. */
export interface NodeServer extends AsyncDisposable {
  readonly port: number;
  /** Answers the requests from now on. */
  handle(listener: RequestListener): void;
  /** Drops the connection of a request that is not answered yet. */
  drop(request: IncomingMessage, response: ServerResponse): void;
}

/** In Deno 2.7 nothing that a server does with its sockets reaches the connection. */
const hasSockets = !Deno.version.deno.startsWith("2.7.");

/** Starts a server on this port, or on a free one. */
export async function startNodeServer(port = 0): Promise<NodeServer> {
  const server = createServer();
  const relay = hasSockets ? undefined : startRelay(port);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(relay === undefined ? port : 0, "127.0.0.1", resolve);
  });
  const own = (server.address() as AddressInfo).port;
  if (relay !== undefined) relay.target = own;
  return {
    port: relay?.port ?? own,
    handle(listener) {
      server.removeAllListeners("request");
      server.on("request", listener);
    },
    drop({ socket }, response) {
      if (relay === undefined) return void socket.destroy();
      relay.cut(socket.remotePort!);
      response.end(); // to nobody; the server would wait for it at its end
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await relay?.[Symbol.asyncDispose]();
      await closed;
    },
  };
}
