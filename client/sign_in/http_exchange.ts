import { isGranted } from "../../backends/common/platform.ts";

/** Limit of a request's head, which has the answer's code in it, and of its body. */
const MAX_BYTES = 32 * 1024;
const HEAD_END = "\r\n\r\n";
/** A request has to be whole after this time. */
const READ_MS = 10_000;

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
  answer: (request: HttpRequest) => HttpResponse,
): Promise<void> {
  const timer = setTimeout(() => close(connection), READ_MS);
  try {
    const request = await readRequest(connection).finally(() => clearTimeout(timer));
    if (request === undefined) return;
    const response = typeof request === "number" ? { status: request } : answer(request);
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
  const [here, there] = [inTable(localAddr), inTable(remoteAddr)];
  try {
    const owners = TABLES.flatMap((path) => Deno.readTextFileSync(path).split("\n"))
      .map((row) => row.trim().split(/\s+/))
      .filter(([, local = "", remote = ""]) => there.includes(local) && here.includes(remote))
      .map(([, , , , , , , uid]) => Number(uid));
    if (owners.length === 0) return undefined;
    return owners.every((uid) => uid === 0 || uid === Deno.uid());
  } catch {
    return undefined;
  }
}

/** How the tables write an address: words of 32 bits, whose bytes little-endian machines turn round. */
function inTable({ hostname, port }: Deno.NetAddr): string[] {
  const hex = (value: number, digits: number) =>
    value.toString(16).toUpperCase().padStart(digits, "0");
  const at = `:${hex(port, 4)}`;
  if (hostname === "::1") return [`${"0".repeat(24)}01000000${at}`];
  const address = hostname.split(".").map((part) => hex(Number(part), 2)).reverse().join("");
  return [address + at, `${"0".repeat(16)}FFFF0000${address}${at}`];
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
  const chunk = new Uint8Array(MAX_BYTES);
  let text = ""; // one character stands for each byte, and the body is a form, which is all ASCII
  let request: HttpRequest | undefined;
  let end = 0;
  for (;;) {
    if (request === undefined && text.includes(HEAD_END)) {
      const head = text.slice(0, text.indexOf(HEAD_END));
      const read = parseHead(head);
      if (typeof read === "number") return read;
      request = read.request;
      end = head.length + HEAD_END.length + read.length;
    }
    if (request !== undefined && text.length >= end) {
      return { ...request, body: text.slice(text.indexOf(HEAD_END) + HEAD_END.length, end) };
    }
    if (request === undefined && text.length >= MAX_BYTES) return 413;
    const count = await connection.read(chunk);
    if (!count) return undefined;
    text += Array.from(chunk.subarray(0, count), (byte) => String.fromCharCode(byte)).join("");
  }
}

/** The request of a head, and the length of its body. */
function parseHead(head: string): { request: HttpRequest; length: number } | number {
  const [first = "", ...lines] = head.split("\r\n");
  const [, method, target] = /^([A-Z]{1,20}) (\/[\x21-\x7e]*) HTTP\/1\.[01]$/.exec(first) ?? [];
  const headers = readHeaders(lines);
  if (method === undefined || target === undefined || headers === undefined) return 400;
  const length = Number(headers.get("content-length") ?? 0);
  if (headers.has("transfer-encoding") || !Number.isInteger(length) || length < 0) return 400;
  if (length > MAX_BYTES) return 413;
  const [path, ...query] = target.split("?");
  const parameters = new URLSearchParams(query.join("?"));
  return { request: { method, path: path!, query: parameters, headers, body: "" }, length };
}

function readHeaders(lines: readonly string[]): Map<string, string> | undefined {
  const headers = new Map<string, string>();
  for (const line of lines) {
    // Not the blanks by a pattern: a long run of them within a value would take seconds.
    const [, name] = /^([\w!#$%&'*+.^`|~-]+):/.exec(line) ?? [];
    const key = name?.toLowerCase();
    if (key === undefined || (headers.has(key) && ["host", "content-length"].includes(key))) {
      return undefined;
    }
    headers.set(key, line.slice(name!.length + 1).trim());
  }
  return headers;
}

function format({ status, headers = {}, body = "" }: HttpResponse): Uint8Array {
  const bytes = new TextEncoder().encode(body);
  const all = { ...headers, "content-length": String(bytes.length), connection: "close" };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `HTTP/1.1 ${status} \r\n${lines.join("")}\r\n`;
  return new Uint8Array([...new TextEncoder().encode(head), ...bytes]);
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}
