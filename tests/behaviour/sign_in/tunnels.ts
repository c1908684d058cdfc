/** A loopback server that hands each connection on to another one. */
export interface Tunnel extends AsyncDisposable {
  readonly port: number;
  /** The port that connections are handed on to. */
  target: number;
}

/** A CONNECT proxy on loopback: RFC 9110, section 9.3.6. */
export interface ConnectProxy extends Tunnel {
  /** The request lines that it got. */
  readonly requests: string[];
}

/** Speaks TLS in front of a server that does not. */
export function startTlsFront(pem: { cert: string; key: string }): Tunnel {
  const listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...pem });
  return new RunningTunnel(listener, () => Promise.resolve());
}

/** Connects whatever name it is asked for to `target`, as no name server would. */
export function startConnectProxy(target: number): ConnectProxy {
  const requests: string[] = [];
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const relay = new RunningTunnel(listener, async (client) => {
    requests.push(await readHead(client));
    await client.write(new TextEncoder().encode("HTTP/1.1 200 Connected\r\n\r\n"));
  });
  relay.target = target;
  return Object.assign(relay, { requests });
}

class RunningTunnel implements Tunnel {
  target = 0;
  readonly #listener: Deno.Listener<Deno.Conn<Deno.NetAddr>, Deno.NetAddr>;
  readonly #greet: (client: Deno.Conn) => Promise<void>;
  readonly #open = new Set<Deno.Conn>();
  readonly #served: Promise<void>;

  constructor(
    listener: Deno.Listener<Deno.Conn<Deno.NetAddr>, Deno.NetAddr>,
    greet: (client: Deno.Conn) => Promise<void>,
  ) {
    this.#listener = listener;
    this.#greet = greet;
    this.#served = this.#serve();
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  async #serve(): Promise<void> {
    const running: Promise<void>[] = [];
    for await (const client of this.#listener) running.push(this.#relay(client));
    await Promise.all(running);
  }

  async #relay(client: Deno.Conn): Promise<void> {
    this.#open.add(client);
    try {
      await this.#greet(client);
      const server = await Deno.connect({ hostname: "127.0.0.1", port: this.target });
      this.#open.add(server);
      await Promise.all([
        client.readable.pipeTo(server.writable),
        server.readable.pipeTo(client.writable),
      ]);
    } catch {
      // One side has left, or refused the other's certificate.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const open of [this.#listener, ...this.#open]) {
      try {
        open.close();
      } catch {
        // It is closed.
      }
    }
    await this.#served;
  }
}

/** The request line; the rest of the head is read and dropped. */
async function readHead(client: Deno.Conn): Promise<string> {
  const buffer = new Uint8Array(4096);
  let head = "";
  while (!head.includes("\r\n\r\n")) {
    const size = await client.read(buffer);
    if (size === null) throw new Error("The client left");
    head += new TextDecoder().decode(buffer.subarray(0, size));
  }
  return head.slice(0, head.indexOf("\r\n"));
}
