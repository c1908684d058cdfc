import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** One request that went through. */
export interface SeenRequest {
  /** The `grant_type` of a token request. */
  readonly grantType: string | undefined;
  /** 0 as long as there is no answer. */
  status: number;
}

/**
 * An HTTP server on loopback that hands all requests on to a provider, byte for byte, with the
 * `Host` that the client gave. It adds no header, so that a provider without `Date` stays without.
 */
export class Gateway implements AsyncDisposable {
  /** Port of the provider; has to be set before the first request. */
  upstream = 0;
  readonly origin: string;
  /** What went through, until {@linkcode reset}. */
  readonly requests: SeenRequest[] = [];
  /** The next token request is carried out, and its answer lost; then all is as before. */
  losesAnswer = false;
  readonly #server;

  private constructor(server: ReturnType<typeof createServer>) {
    this.#server = server;
    this.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("request", (incoming, outgoing) => void this.#serve(incoming, outgoing));
  }

  static async start(): Promise<Gateway> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new Gateway(server);
  }

  /** Grant and status of the token requests that were answered. */
  get grants(): [grant: string, status: number][] {
    return this.requests.flatMap(({ grantType, status }) =>
      grantType === undefined || status === 0 ? [] : [[grantType.split(":").at(-1)!, status]]
    );
  }

  reset(): void {
    this.requests.length = 0;
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = await new Response(ReadableStream.from(incoming)).bytes();
    const seen = seenRequest(incoming, body);
    this.requests.push(seen);
    const loses = this.losesAnswer && seen.grantType !== undefined;
    if (loses) this.losesAnswer = false;
    const { url: path, method, headers } = incoming;
    const to = { host: "127.0.0.1", port: this.upstream, path, method, headers, agent: false };
    const onward = request(to, (answer) => {
      if (loses) {
        answer.resume();
        return void incoming.socket.destroy();
      }
      seen.status = answer.statusCode!;
      outgoing.sendDate = false;
      outgoing.writeHead(seen.status, answer.rawHeaders);
      answer.pipe(outgoing);
    });
    onward.once("error", () => incoming.socket.destroy());
    onward.end(body);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }
}

function seenRequest({ headers }: IncomingMessage, body: Uint8Array): SeenRequest {
  const isForm = headers["content-type"]?.startsWith("application/x-www-form-urlencoded");
  const form = new URLSearchParams(isForm ? new TextDecoder().decode(body) : "");
  return { grantType: form.get("grant_type") ?? undefined, status: 0 };
}
