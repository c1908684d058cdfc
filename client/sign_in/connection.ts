import { isGranted } from "../../backends/common/permission.ts";
import { delay, untilAborted } from "../../backends/common/promises.ts";

/** Limit of a request's head, which has the answer's code in it. No request needs a body. */
const MAX_BYTES = 32 * 1024;
/** More lines than any browser sends. The time of `Headers` grows with their square. */
const MAX_LINES = 100;
const HEAD_END = "\r\n\r\n";
/** A request has to be whole after this time. */
const READ_MS = 10_000;

/** More connections at once push out the oldest, so that idle ones cannot keep the answer away. */
const MAX_CONNECTIONS = 64;
/** Time for answers that are on their way, at the end. */
const LAST_WORDS_MS = 1000;
/** Pause after a failure to accept a connection. */
const PAUSE_MS = 50;

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
 * Answers the requests to some listeners. Disposal stops it at once. Answers to whole requests still get
 * out.
 */
export function serve(
  listeners: readonly Deno.TcpListener[],
  answer: (request: HttpRequest, connection: Deno.TcpConn) => HttpResponse,
): AsyncDisposable {
  const visits: Visits = new Map();
  let isOpen = true;

  const receive = (connection: Deno.TcpConn) => {
    if (visits.size >= MAX_CONNECTIONS) close([...visits.keys()][0]!);
    const visit = { done: Promise.resolve(), isAsked: false };
    visits.set(connection, visit);
    visit.done = exchange(connection, (request) => {
      visit.isAsked = true;
      return answer(request, connection);
    }).finally(() => visits.delete(connection));
  };

  const accept = async (listener: Deno.TcpListener) => {
    while (isOpen) {
      try {
        receive(await listener.accept());
      } catch {
        // A connection that broke, or too many files: the next one may do better.
        if (isOpen) await delay(PAUSE_MS);
      }
    }
  };

  const accepting = listeners.map(accept);
  return {
    async [Symbol.asyncDispose]() {
      isOpen = false;
      for (const listener of listeners) close(listener);
      await Promise.all(accepting); // the port is free only then
      await endVisits(visits);
    },
  };
}

/** The connections, oldest first, and whether their request is whole. */
type Visits = Map<Deno.TcpConn, { done: Promise<void>; isAsked: boolean }>;

async function endVisits(visits: Visits) {
  for (const [connection, { isAsked }] of visits) if (!isAsked) close(connection);
  const all = Promise.all(Array.from(visits.values(), ({ done }) => done));
  await untilAborted(all, AbortSignal.timeout(LAST_WORDS_MS)).catch(() => undefined);
  for (const connection of visits.keys()) close(connection);
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
) {
  const timer = setTimeout(() => close(connection), READ_MS);
  try {
    const reading = readRequest(connection).finally(() => clearTimeout(timer));
    const request = await reading.catch(() => undefined);
    const response = request ? answer(request) : { status: 400 };
    await connection.writable.getWriter().write(bytesOf(response));
    await connection.closeWrite();
  } catch {
    // The connection broke, or was closed. Its text may be secret, so nothing is said.
  } finally {
    close(connection);
  }
}

/** Closes a connection that may be closed already. */
function close(connection: { close(): void }) {
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
  if (lines.length > MAX_LINES) return undefined;
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
    const owners = ownersBetween(remoteAddr.port, localAddr.port);
    if (owners.length === 0) return undefined;
    return owners.every((uid) => uid === 0 || uid === Deno.uid());
  } catch {
    return undefined;
  }
}

/**
 * The users of the connections from one port to another, whatever the addresses. A foreign one by chance
 * refuses a request.
 */
function ownersBetween(from: number, to: number) {
  const endOf = (port: number) => `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return TABLES.flatMap((path) => Deno.readTextFileSync(path).split("\n"))
    .map((row) => row.trim().split(/\s+/))
    .filter(([, local = "", remote = ""]) =>
      local.endsWith(endOf(from)) && remote.endsWith(endOf(to))
    )
    .map(([, , , , , , , uid]) => Number(uid));
}
