/**
 * HTTP/1.1 at the server's end of one connection, as far as tests need it. Neither `Deno.serve` nor
 * `node:http` on it, as in Deno 2.7, lets a server drop a connection.
 */
export class HttpConnection {
  readonly #conn: Deno.Conn;
  #received = new Uint8Array();
  #reading: Promise<boolean> | undefined;
  #isChunked = true;
  #isLast = false;
  #hasBody = true;

  constructor(conn: Deno.TcpConn) {
    conn.setNoDelay();
    this.#conn = conn;
  }

  /** The next request, or `undefined` where the client has left. Its signal is `signal`, too. */
  async request(signal: AbortSignal): Promise<Request | undefined> {
    const head = await this.#until("\r\n\r\n");
    if (head === undefined) return undefined;
    const [first = "", ...lines] = head.split("\r\n");
    const [method = "", path = "", version] = first.split(" ");
    const headers = new Headers(lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    }));
    const body = await this.#body(headers);
    if (body === undefined) return undefined;
    this.#isChunked = version === "HTTP/1.1";
    this.#isLast = !this.#isChunked || headers.get("connection") === "close";
    this.#hasBody = method !== "HEAD";
    const gone = new AbortController();
    // Read ahead: the end of the connection is the client's leaving.
    void this.#read().then((isThere) => isThere || gone.abort());
    return new Request(`http://${headers.get("host")}${path}`, {
      method,
      headers,
      ...(body.length > 0 && method !== "GET" && method !== "HEAD" ? { body } : {}),
      signal: AbortSignal.any([signal, gone.signal]),
    });
  }

  /** Sends an answer. Gives whether the connection is still good. */
  async answer({ status, headers: given, body }: Response): Promise<boolean> {
    const headers = new Headers(given);
    if (!headers.has("date")) headers.set("date", new Date().toUTCString());
    const isEmpty = !this.#hasBody || status === 204 || status === 304;
    const isFramed = !isEmpty && body !== null && !headers.has("content-length") && this.#isChunked;
    if (isFramed) headers.set("transfer-encoding", "chunked");
    else if (body === null && !isEmpty) headers.set("content-length", "0");
    if (this.#isLast) headers.set("connection", "close");
    const lines = Array.from(headers, ([name, value]) => `${name}: ${value}\r\n`);
    await this.#write(latin1(`HTTP/1.1 ${status} \r\n${lines.join("")}\r\n`));
    // Written out before the next one is asked for, which may be where the answer breaks off.
    for await (const chunk of isEmpty ? [] : body ?? []) {
      if (isFramed && chunk.length === 0) continue;
      if (isFramed) await this.#write(latin1(`${chunk.length.toString(16)}\r\n`));
      await this.#write(chunk);
      if (isFramed) await this.#write(latin1("\r\n"));
    }
    if (isFramed) await this.#write(latin1("0\r\n\r\n"));
    return !this.#isLast;
  }

  /** Drops the connection. */
  async close(): Promise<void> {
    try {
      this.#conn.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error; // it was dropped before
    }
    await this.#reading;
  }

  async #body(headers: Headers): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (headers.get("transfer-encoding") !== "chunked") {
      return await this.#take(Number(headers.get("content-length") ?? 0));
    }
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    for (;;) {
      const line = await this.#until("\r\n");
      const chunk = line === undefined ? undefined : await this.#take(parseInt(line, 16));
      if (chunk === undefined || await this.#until("\r\n") === undefined) return undefined;
      if (chunk.length === 0) break;
      chunks.push(chunk);
    }
    return new Uint8Array(await new Blob(chunks).arrayBuffer());
  }

  /** The text up to a mark, without it. */
  async #until(mark: string): Promise<string | undefined> {
    for (;;) {
      const text = new TextDecoder("latin1").decode(this.#received);
      const end = text.indexOf(mark);
      if (end >= 0) {
        this.#received = this.#received.slice(end + mark.length);
        return text.slice(0, end);
      }
      if (!await this.#read()) return undefined;
    }
  }

  async #take(length: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    while (this.#received.length < length) if (!await this.#read()) return undefined;
    const taken = this.#received.slice(0, length);
    this.#received = this.#received.slice(length);
    return taken;
  }

  /** Reads what comes next. Gives `false` at the end. */
  #read(): Promise<boolean> {
    this.#reading ??= this.#readOnce().finally(() => this.#reading = undefined);
    return this.#reading;
  }

  async #readOnce(): Promise<boolean> {
    const buffer = new Uint8Array(64 * 1024);
    const count = await this.#conn.read(buffer).catch(() => null);
    if (count === null) return false;
    const all = new Uint8Array(this.#received.length + count);
    all.set(this.#received);
    all.set(buffer.subarray(0, count), this.#received.length);
    this.#received = all;
    return true;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await this.#conn.write(rest));
  }
}

function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
