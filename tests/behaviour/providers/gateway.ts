import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { freePort } from "../../support/servers/free_port.ts";

/** How a provider fails. */
export type Outage =
  /** No connection is taken. */
  | "refused"
  /** Connections are taken, and nothing is answered. */
  | "silent"
  /** A load balancer answers in the provider's place: 503 and HTML. */
  | "503"
  /** The next token request is carried out, and its answer lost; then all is as before. */
  | "answer lost";

/** One request that went through. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
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
  /** Address and port. */
  readonly host: string;
  /** What went through, until {@linkcode reset}. */
  readonly requests: SeenRequest[] = [];
  #outage: Outage | undefined;
  readonly #port = freePort();
  #server = createServer();

  private constructor() {
    this.host = `127.0.0.1:${this.#port}`;
    this.origin = `http://${this.host}`;
  }

  static async start(): Promise<Gateway> {
    const gateway = new Gateway();
    await gateway.#listen();
    return gateway;
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

  /** Lets the provider fail, or answer again. */
  async fail(outage: Outage | undefined): Promise<void> {
    const wasRefused = this.#outage === "refused";
    this.#outage = outage;
    if (outage === "refused") await this.#close();
    else if (wasRefused) await this.#listen();
  }

  async #listen(): Promise<void> {
    this.#server = createServer((incoming, outgoing) => void this.#serve(incoming, outgoing));
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#port, "127.0.0.1", resolve);
    });
  }

  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = await readAll(incoming);
    const seen = seenRequest(incoming, body);
    this.requests.push(seen);
    if (this.#outage === "silent") return;
    if (this.#outage === "503") {
      outgoing.writeHead(seen.status = 503, { "content-type": "text/html" });
      return void outgoing.end("<h1>Service Unavailable</h1>");
    }
    const loses = this.#outage === "answer lost" && seen.grantType !== undefined;
    if (loses) this.#outage = undefined;
    const onward = request({
      host: "127.0.0.1",
      port: this.upstream,
      path: incoming.url,
      method: incoming.method,
      headers: incoming.headers,
      agent: false,
    }, (answer) => {
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
    if (this.#outage !== "refused") await this.#close();
  }
}

function seenRequest({ method, url, headers }: IncomingMessage, body: Uint8Array): SeenRequest {
  const isForm = headers["content-type"]?.startsWith("application/x-www-form-urlencoded");
  const form = new URLSearchParams(isForm ? new TextDecoder().decode(body) : "");
  return {
    method: method!,
    path: url!.replace(/\?.*/, ""),
    grantType: form.get("grant_type") ?? undefined,
    status: 0,
  };
}

async function readAll(incoming: IncomingMessage): Promise<Uint8Array> {
  return await new Response(ReadableStream.from(incoming)).bytes();
}
