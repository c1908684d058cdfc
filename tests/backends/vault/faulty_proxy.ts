/** A fault of the network, as one request meets it. */
export type NetworkFault =
  /** The connection ends before the request has gone on. */
  | "cut before"
  /** The request goes on, and the connection ends without its answer. */
  | "answer lost"
  /** A part of the answer arrives. */
  | "answer cut"
  /** The answer takes its time. */
  | "answer late"
  | "none";

/** A TCP proxy on loopback. */
export interface FaultyProxy extends AsyncDisposable {
  /** `127.0.0.1` and its port. */
  readonly address: string;
  /** How often each fault was met. */
  readonly met: Record<NetworkFault, number>;
  /** Chooses the fault of each request. @default {none} */
  choose: () => NetworkFault;
}

/** How long a late answer takes, in milliseconds. */
const LATE_MS = 700;
/** The most that a proxy reads at once. */
const CHUNK_BYTES = 64 * 1024;

/**
 * Starts a proxy in front of a server on loopback, whose requests and answers are one chunk each.
 *
 * @param port Gives the port that a new connection leads to.
 */
export function startFaultyProxy(port: () => number): FaultyProxy {
  return new Proxy(port);
}

class Proxy implements FaultyProxy {
  readonly address: string;
  readonly met: FaultyProxy["met"] = {
    "cut before": 0,
    "answer lost": 0,
    "answer cut": 0,
    "answer late": 0,
    "none": 0,
  };
  choose: () => NetworkFault = () => "none";
  readonly #port: () => number;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #links = new Set<Link>();
  readonly #served: Promise<void>;

  constructor(port: () => number) {
    this.#port = port;
    this.address = `127.0.0.1:${this.#listener.addr.port}`;
    this.#served = this.#serve();
  }

  async #serve(): Promise<void> {
    for await (const client of this.#listener) void this.#relay(client);
  }

  async #relay(client: Deno.Conn): Promise<void> {
    let server: Deno.Conn;
    try {
      server = await Deno.connect({ hostname: "127.0.0.1", port: this.#port() });
    } catch {
      return client.close(); // the server is not there
    }
    const link = new Link(client, server, () => {
      const fault = this.choose();
      this.met[fault]++;
      return fault;
    });
    this.#links.add(link);
    await link.ended;
    this.#links.delete(link);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    const ends = [...this.#links].map((link) => {
      link.close();
      return link.ended;
    });
    await Promise.all([this.#served, ...ends]);
  }
}

/** One connection of a client, and the one behind it. */
class Link {
  readonly ended: Promise<unknown>;
  readonly #client: Deno.Conn;
  readonly #server: Deno.Conn;
  readonly #choose: () => NetworkFault;
  #fault: NetworkFault = "none";
  #isClosed = false;

  constructor(client: Deno.Conn, server: Deno.Conn, choose: () => NetworkFault) {
    this.#client = client;
    this.#server = server;
    this.#choose = choose;
    this.ended = Promise.all([
      this.#pump(client, (chunk) => this.#request(chunk)),
      this.#pump(server, (chunk) => this.#answer(chunk)),
    ]);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#client.close();
    this.#server.close();
  }

  async #pump(from: Deno.Conn, handle: (chunk: Uint8Array) => Promise<void>): Promise<void> {
    const buffer = new Uint8Array(CHUNK_BYTES);
    try {
      for (let size; (size = await from.read(buffer)) !== null;) {
        await handle(buffer.subarray(0, size));
      }
    } catch {
      // One side has gone.
    }
    this.close();
  }

  async #request(chunk: Uint8Array): Promise<void> {
    this.#fault = this.#choose();
    if (this.#fault === "cut before") return this.close();
    await writeAll(this.#server, chunk);
  }

  async #answer(chunk: Uint8Array): Promise<void> {
    if (this.#fault === "answer lost") return this.close();
    if (this.#fault === "answer late") await new Promise((go) => setTimeout(go, LATE_MS));
    if (this.#fault !== "answer cut") return await writeAll(this.#client, chunk);
    await writeAll(this.#client, chunk.subarray(0, chunk.length >> 1));
    this.close();
  }
}

async function writeAll(to: Deno.Conn, chunk: Uint8Array): Promise<void> {
  for (let written = 0; written < chunk.length;) {
    written += await to.write(chunk.subarray(written));
  }
}
