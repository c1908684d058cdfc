import { isGranted } from "../../backends/common/platform.ts";

/** Limit of a request's head, which has the answer's code in it, and of its body. */
const MAX_BYTES = 32 * 1024;
/** A request has to be whole after this time. */
const READ_MS = 10_000;

const REASONS: Record<number, string> = {
  200: "OK",
  204: "No Content",
  303: "See Other",
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  413: "Content Too Large",
  503: "Service Unavailable",
};

/** A request as it was read. */
export interface HttpRequest {
  method: string;
  path: string;
  query: URLSearchParams;
  /** By their names in lower case. */
  headers: ReadonlyMap<string, string>;
  body: string;
}

/** The answer to a request. */
export interface HttpResponse {
  status: number;
  headers?: Record<string, string>;
  body?: string;
}

/**
 * Answers the one request of a connection, then closes it.
 *
 * Not by `Deno.serve`: a variable (`DENO_SERVE_ADDRESS`) moves its first server to another address, and
 * its traces (`OTEL_DENO`) record the address of each request, with the code in it.
 *
 * @param answer Is called for a whole request only.
 */
export async function exchange(
  connection: Deno.Conn,
  answer: (request: HttpRequest) => Promise<HttpResponse>,
): Promise<void> {
  const timer = setTimeout(() => close(connection), READ_MS);
  try {
    const request = await readRequest(connection).finally(() => clearTimeout(timer));
    if (request === undefined) return;
    const response = typeof request === "number" ? { status: request } : await answer(request);
    await writeAll(connection, format(response));
    await connection.closeWrite();
  } catch {
    // The connection broke, or was closed. Its text may be secret, so nothing is said.
  } finally {
    close(connection);
  }
}

/** The tables of this host's connections, on Linux. */
const TABLES = ["/proc/net/tcp", "/proc/net/tcp6"];

/**
 * Whether the other end of a connection is a process of this user, or of the superuser. `undefined` where
 * nothing tells: only Linux does, and only with every permission.
 *
 * Not for a request that needs no answer: its sender may be gone from the table by now.
 */
export function isOwnConnection({ localAddr, remoteAddr }: Deno.TcpConn): boolean | undefined {
  const mayLook = TABLES.every((path) => isGranted({ name: "read", path }));
  if (Deno.build.os !== "linux" || !mayLook || !isGranted({ name: "sys", kind: "uid" })) {
    return undefined;
  }
  const [here, there] = [localAddr, remoteAddr].map(({ port }) =>
    `:${port.toString(16).toUpperCase().padStart(4, "0")}`
  ) as [string, string];
  try {
    const owners = TABLES.flatMap((path) => Deno.readTextFileSync(path).split("\n"))
      .map((row) => row.trim().split(/\s+/))
      .filter(([, local, remote]) => local?.endsWith(there) && remote?.endsWith(here))
      .map(([, , , , , , , uid]) => Number(uid));
    if (owners.length === 0) return undefined;
    return owners.every((uid) => uid === 0 || uid === Deno.uid());
  } catch {
    return undefined;
  }
}

/** Closes a connection that may be closed already. */
export function close(connection: { close(): void }): void {
  try {
    connection.close();
  } catch {
    // it is closed
  }
}

/** Reads a request; gives the status to refuse it with, or `undefined` where none came. */
async function readRequest(connection: Deno.Conn): Promise<HttpRequest | number | undefined> {
  const reader = new ByteReader(connection);
  const head = await reader.until("\r\n\r\n");
  if (head === undefined) return reader.isFull ? 413 : undefined;
  const [first = "", ...lines] = head.split("\r\n");
  const [, method, target] = /^([A-Z]{1,20}) (\/[\x21-\x7e]*) HTTP\/1\.[01]$/.exec(first) ?? [];
  const headers = readHeaders(lines);
  if (method === undefined || target === undefined || headers === undefined) return 400;
  const length = Number(headers.get("content-length") ?? 0);
  if (headers.has("transfer-encoding") || !Number.isInteger(length) || length < 0) return 400;
  if (length > MAX_BYTES) return 413;
  const body = await reader.take(length);
  if (body === undefined) return undefined;
  const [path, ...query] = target.split("?");
  return { method, path: path!, query: new URLSearchParams(query.join("?")), headers, body };
}

function readHeaders(lines: readonly string[]): Map<string, string> | undefined {
  const headers = new Map<string, string>();
  for (const line of lines) {
    // Not the blanks by a pattern: a long run of them within a value would take seconds.
    const [, name] = /^([\w!#$%&'*+.^`|~-]+):/.exec(line) ?? [];
    if (name === undefined) return undefined;
    const key = name.toLowerCase();
    const isRepeated = headers.has(key) && (key === "host" || key === "content-length");
    if (isRepeated) return undefined;
    headers.set(key, line.slice(name.length + 1).trim());
  }
  return headers;
}

/** Reads from a connection up to the limit. */
class ByteReader {
  readonly #connection: Deno.Conn;
  readonly #bytes = new Uint8Array(2 * MAX_BYTES);
  #length = 0;
  #text = "";

  constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  get isFull(): boolean {
    return this.#length >= MAX_BYTES;
  }

  /** The text before a mark, or `undefined` at the end or the limit. */
  async until(mark: string): Promise<string | undefined> {
    for (;;) {
      const at = this.#text.indexOf(mark);
      if (at !== -1) {
        const head = this.#text.slice(0, at);
        this.#text = this.#text.slice(at + mark.length);
        return head;
      }
      if (this.isFull || !await this.#more()) return undefined;
    }
  }

  /** The next characters. The body is a form, which is all ASCII. */
  async take(length: number): Promise<string | undefined> {
    while (this.#text.length < length) {
      if (!await this.#more()) return undefined;
    }
    return this.#text.slice(0, length);
  }

  /** Reads on; one character stands for each byte. */
  async #more(): Promise<boolean> {
    const read = await this.#connection.read(this.#bytes.subarray(this.#length));
    if (read === null || read === 0) return false;
    const bytes = this.#bytes.subarray(this.#length, this.#length + read);
    for (const byte of bytes) this.#text += String.fromCharCode(byte);
    this.#length += read;
    return true;
  }
}

function format({ status, headers = {}, body = "" }: HttpResponse): Uint8Array {
  const bytes = new TextEncoder().encode(body);
  const all = { ...headers, "content-length": String(bytes.length), connection: "close" };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `HTTP/1.1 ${status} ${REASONS[status] ?? "Refused"}\r\n${lines.join("")}\r\n`;
  return new Uint8Array([...new TextEncoder().encode(head), ...bytes]);
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}
