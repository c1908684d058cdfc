import { isGranted } from "../../backends/common/permission.ts";

/** The parameters that no answer may have twice. */
const SINGLE = ["state", "code", "error", "iss"];

/** The reasons why an answer is not taken, for the person who copied its address. */
const FOREIGN =
  "it is not from this sign-in. Open the link that is shown now, and copy the whole address of the " +
  "last page, with state and code in it";
const OVER = "its sign-in has ended. Sign in again";
export const SPENT = "it was used already. Wait, or sign in again";

/**
 * The one answer that a sign-in in the browser waits for. It may come to the listener, or be handed in by
 * the person. The first one that carries the sign-in's own state is taken, and nothing else changes the
 * wait.
 */
export class BrowserAnswer {
  readonly #state: string;
  readonly #taken = Promise.withResolvers<URLSearchParams>();
  /** The reason why no more answers are taken. */
  #closed: string | undefined;

  /** @param state The state of the request. Secret. */
  constructor(state: string) {
    this.#state = state;
  }

  /** The answer, once it is there. */
  get taken(): Promise<URLSearchParams> {
    return this.#taken.promise;
  }

  /** Hands in the parameters of an address. Gives the reason where they are not taken. */
  offer(parameters: URLSearchParams): string | undefined {
    const isAnswer = parameters.has("code") || parameters.has("error");
    const isSingle = SINGLE.every((name) => parameters.getAll(name).length <= 1);
    if (!isAnswer || !isSingle || parameters.get("state") !== this.#state) return FOREIGN;
    if (this.#closed !== undefined) return this.#closed;
    this.#closed = SPENT;
    this.#taken.resolve(parameters);
    return undefined;
  }

  /** Takes no answer any more: nobody waits for it. */
  end(): void {
    this.#closed ??= OVER;
  }
}

/** The parameters of an address as a person copies it: whole, or from its question mark on. */
export function parametersOf(address: string): URLSearchParams {
  const text = address.trim().replace(/^<|>$/g, "");
  const url = URL.parse(text);
  if (url !== null && /^https?:$/.test(url.protocol)) return url.searchParams;
  return new URLSearchParams(/^\??[\w.~-]+=[^\s]*$/.test(text) ? text : "");
}

/** Takes the answer's parameters out of the address, and so out of the browser's history. */
const SCRIPT = `history.replaceState(null,"",location.pathname)`;
const STYLE = `:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;` +
  `max-width:32rem;margin:15vh auto;padding:0 1.5rem}h1{font-size:1.4rem}`;

/** Goes on by itself. */
const START_SCRIPT = "document.forms[0].submit()";
const START_FORM = `<form method="post"><button>Go to the sign-in page</button></form>`;

/** The pages that the browser may be shown. None has a word from outside in it. */
const PAGES = {
  arrived: [
    200,
    "Your answer has arrived",
    "You can close this page. The program that asked you to sign in shows the result.",
  ],
  refused: [
    200,
    "You are not signed in",
    "The provider refused the sign-in. You can close this page. The program that asked you to sign " +
    "in shows the reason.",
  ],
  start: [200, "Signing in", "The sign-in page of your provider opens."],
  started: [
    409,
    "This sign-in has ended",
    "Another browser opened it first. If that was not you, it was another user of this computer. Sign " +
    "in again, and open the link of the program yourself.",
  ],
  stray: [
    400,
    "This did not sign you in",
    "This address is not from the sign-in that waits here. If you were signing in, go back to the " +
    "program and open its link again.",
  ],
} as const satisfies Record<string, readonly [status: number, title: string, text: string]>;

/** Headers of every answer. A browser must not keep it, nor tell others where it came from. */
const HEADERS = {
  "cache-control": "no-store",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

/** An answer without a page. */
export function bare(status: number, headers: Record<string, string> = {}): HttpResponse {
  return { status, headers: { ...HEADERS, ...headers } };
}

/** A page: no script but its own, and nothing loaded from elsewhere. */
export function answerPage(name: keyof typeof PAGES): HttpResponse {
  const [status, title, text] = PAGES[name];
  const isStart = name === "start";
  const nonce = crypto.randomUUID();
  return {
    status,
    headers: {
      ...HEADERS,
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": `default-src 'none'; script-src 'nonce-${nonce}'; ` +
        `style-src 'nonce-${nonce}'; base-uri 'none'; frame-ancestors 'none'` +
        // Browsers hold the redirect after a form to it, too, and that leads to the provider.
        (isStart ? "" : "; form-action 'none'"),
    },
    body: `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>${title}</title>` +
      `<meta name="viewport" content="width=device-width,initial-scale=1">` +
      `<style nonce="${nonce}">${STYLE}</style></head><body><h1>${title}</h1><p>${text}</p>` +
      `${isStart ? START_FORM : ""}<script nonce="${nonce}">${isStart ? START_SCRIPT : SCRIPT}` +
      `</script></body></html>`,
  };
}

/** Knows the browser that has begun. */
const COOKIE = "vm-auth-start";

/**
 * The page that this program opens in the person's browser in place of the link. Every user of the host
 * can read the arguments of the program that opens it. With the link they could sign in themselves, and
 * the person's program would take it for the person.
 *
 * The link goes to a process of the same user. Where nothing tells whose it is, the link goes to the
 * browser that asks first. A second one ends the sign-in, since either may be the stranger's.
 */
export class BrowserStart {
  /** Part of the address that others can read. */
  readonly path = `/${crypto.randomUUID()}`;
  readonly #cookie: string = crypto.randomUUID();
  #hasBegun = false;
  #link: string | undefined;
  #onOther: (() => void) | undefined;

  /**
   * Leads to the link from now on.
   *
   * @param onOther Is called for a second browser.
   */
  lead(link: string, onOther: () => void): void {
    this.#link = link;
    this.#onOther = onOther;
  }

  /**
   * Answers `GET` by a form that sends itself, since some desktops and scanners look at an address before
   * the browser opens it. `POST` leads to the link.
   *
   * @param isOwn Whether the request is of this user.
   */
  respond({ method, headers }: HttpRequest, isOwn: boolean | undefined): HttpResponse {
    if (isOwn === false || this.#link === undefined) return bare(404);
    if (method === "GET") return answerPage("start");
    if (method !== "POST") return bare(405, { allow: "GET, POST" });
    const cookie = `${COOKIE}=${this.#cookie}`;
    const isKnown = isOwn || headers.get("cookie")?.split(/;\s*/).includes(cookie);
    if (this.#hasBegun && !isKnown) {
      this.#onOther?.();
      return answerPage("started");
    }
    this.#hasBegun = true;
    return bare(303, {
      location: this.#link,
      "set-cookie": `${cookie}; Path=${this.path}; HttpOnly; SameSite=Strict`,
    });
  }
}

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
    await writeAll(connection, format(request ? answer(request) : { status: 400 }));
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

/** Reads a request; gives `undefined` for one that is not whole, too large or malformed. */
async function readRequest(connection: Deno.Conn): Promise<HttpRequest | undefined> {
  const chunk = new Uint8Array(MAX_BYTES);
  let text = ""; // one character stands for each byte, and the body is a form, which is all ASCII
  const readMore = async () => {
    const bytes = chunk.subarray(0, await connection.read(chunk) ?? 0);
    text += Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
    return bytes.length > 0;
  };
  while (!text.includes(HEAD_END)) {
    if (text.length >= MAX_BYTES || !await readMore()) return undefined;
  }
  const [head] = text.split(HEAD_END, 1) as [string];
  const read = parseHead(head);
  if (read === undefined) return undefined;
  const start = head.length + HEAD_END.length;
  const end = start + read.length;
  while (text.length < end) if (!await readMore()) return undefined;
  return { ...read.request, body: text.slice(start, end) };
}

/** The request of a head, and the length of its body. */
function parseHead(head: string): { request: HttpRequest; length: number } | undefined {
  const [first = "", ...lines] = head.split("\r\n");
  const [, method, target] = /^([A-Z]{1,20}) (\/[\x21-\x7e]*) HTTP\/1\.[01]$/.exec(first) ?? [];
  const headers = readHeaders(lines);
  if (method === undefined || target === undefined || headers === undefined) return undefined;
  const length = Number(headers.get("content-length") ?? 0);
  const isLength = Number.isInteger(length) && length >= 0 && length <= MAX_BYTES;
  if (!isLength || headers.has("transfer-encoding")) return undefined;
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
