import { isGranted } from "../../backends/common/permission.ts";

/** Limit of a request's head, which has the answer's code in it. No request needs a body. */
const MAX_BYTES = 32 * 1024;
const HEAD_END = "\r\n\r\n";
/** A request has to be whole after this time. */
const READ_MS = 10_000;

/** A request as it was read. */
export interface HttpRequest {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: Headers;
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
    const reading = readRequest(connection).finally(() => clearTimeout(timer));
    const request = await reading.catch(() => undefined);
    const response = request === undefined ? { status: 400 } : answer(request);
    await connection.writable.getWriter().write(bytesOf(response));
    await connection.closeWrite();
  } catch {
    // The connection broke, or was closed. Its text may be secret, so nothing is said.
  } finally {
    close(connection);
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

/** Reads a request without its body. Gives `undefined` for a malformed one, or fails. */
async function readRequest(connection: Deno.Conn) {
  const chunk = new Uint8Array(MAX_BYTES);
  let text = ""; // one character stands for each byte
  while (!text.includes(HEAD_END)) {
    const length = await connection.read(chunk);
    if (length === null || text.length >= MAX_BYTES) return undefined;
    text += new TextDecoder("latin1").decode(chunk.subarray(0, length));
  }
  const [head] = text.split(HEAD_END, 1) as [string];
  return parseRequest(head);
}

function parseRequest(head: string): HttpRequest | undefined {
  const [first = "", ...lines] = head.split("\r\n");
  const [, method, target] = /^([A-Z]{1,20}) (\/[\x21-\x7e]*) HTTP\/1\.[01]$/.exec(first) ?? [];
  if (method === undefined || target === undefined) return undefined;
  const [path, ...query] = target.split("?");
  const headers = lines.map((line): [string, string] => {
    const end = line.indexOf(":");
    return [line.slice(0, end), line.slice(end + 1)];
  });
  return {
    method,
    path: path!,
    query: new URLSearchParams(query.join("?")),
    headers: new Headers(headers),
  };
}

function bytesOf({ status, headers = {}, body = "" }: HttpResponse) {
  const encoder = new TextEncoder();
  const length = String(encoder.encode(body).length);
  const all = { ...headers, "content-length": length, connection: "close" };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return encoder.encode(`HTTP/1.1 ${status} \r\n${lines.join("")}\r\n${body}`);
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
  const mayLook = TABLES.every((path) => isGranted({ name: "read", path })) &&
    isGranted({ name: "sys", kind: "uid" });
  if (Deno.build.os !== "linux" || !mayLook) return undefined;
  try {
    const owners = ownersOf(inTable(remoteAddr), inTable(localAddr));
    if (owners.length === 0) return undefined;
    return owners.every((uid) => uid === 0 || uid === Deno.uid());
  } catch {
    return undefined;
  }
}

/** The users of the connections from one of some addresses to one of others. */
function ownersOf(from: readonly string[], to: readonly string[]) {
  return TABLES.flatMap((path) => Deno.readTextFileSync(path).split("\n"))
    .map((row) => row.trim().split(/\s+/))
    .filter(([, local = "", remote = ""]) => from.includes(local) && to.includes(remote))
    .map(([, , , , , , , uid]) => Number(uid));
}

/** How the tables write an address: words of 32 bits, whose bytes little-endian machines turn round. */
function inTable({ hostname, port }: Deno.NetAddr) {
  const hex = (value: number, digits: number) =>
    value.toString(16).toUpperCase().padStart(digits, "0");
  const at = `:${hex(port, 4)}`;
  if (hostname === "::1") return [`${"0".repeat(24)}01000000${at}`];
  const address = hostname.split(".").map((part) => hex(Number(part), 2)).reverse().join("");
  return [address + at, `${"0".repeat(16)}FFFF0000${address}${at}`];
}
