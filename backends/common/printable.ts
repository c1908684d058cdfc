import { untilAborted } from "./promises.ts";
import { readEnvIfGranted } from "./platform.ts";

/** The first use of {@linkcode UNSEEN} takes half a millisecond. */
const PLAIN = /^[\x20-\x7e]*$/;
/** Control and format characters, among them escape sequences and direction overrides. */
const UNSEEN = /[\p{C}\p{Zl}\p{Zp}]+/gu;

/** A text from outside for display: without control characters, and cut after `limit` characters. */
export function printable(text: string, limit = 200): string {
  const clean = (PLAIN.test(text) ? text : text.replace(UNSEEN, " ")).trim();
  return clean.length > limit ? `${clean.slice(0, limit)}…` : clean;
}

/** Bytes in hexadecimal. Node before 25 has no `Uint8Array.prototype.toHex` and `toBase64`. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The SHA-256 of a text, in hexadecimal. */
export async function hashOf(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return toHex(new Uint8Array(digest));
}

export function toBase64(bytes: Uint8Array): string {
  const text = () => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return bytes.toBase64?.() ?? btoa(text());
}

/** Reasons of {@linkcode connectionFault} that another try does not change. */
export const UNTRUSTED = "its certificate is not trusted";
export const NO_HTTPS = "the host does not speak https: at that port";

/** Reasons that may be a proxy's, to which the connection goes in place of the host. */
const UNKNOWN = "the host name is not known";
const REFUSED = "nothing answers at that host and port";

/** The failures of a connection by the runtime's words for them. */
const CONNECTION_FAULTS: readonly (readonly [RegExp, string])[] = [
  [/dns error|lookup address|getaddrinfo/i, UNKNOWN],
  [/connection refused|actively refused|ECONNREFUSED/i, REFUSED],
  [/proxy auth/i, "the proxy wants a name and a password (407): HTTPS_PROXY can hold them"],
  [/CertificateRequired/, "the host wants a client certificate, and there is none"],
  [
    /invalid peer certificate|self.signed cert|unable to (get|verify)|CERT_/i,
    UNTRUSTED,
  ],
  [/tunnel/i, "the proxy refused the connection"],
  [/InvalidContentType/, NO_HTTPS],
  // Before TLS: "peer closed connection without sending TLS close_notify".
  [
    /closed|reset|broken pipe|incomplete|reading a body/i,
    "the connection ended before the answer was complete",
  ],
  [/tls|handshake/i, "the host and this computer do not agree on a secure connection (TLS)"],
  [/unreachable|no route/i, "the network does not reach the host"],
  [/timed out/i, "the host did not answer in time"],
];

/**
 * The reason of an error of `fetch` in words; `undefined` where it is not known.
 *
 * @param timeoutMs The time limit, where it has ended the request.
 */
export function connectionFault(error: unknown, timeoutMs?: number): string | undefined {
  if (timeoutMs !== undefined) return `no complete answer came within ${timeoutMs} ms`;
  if (!(error instanceof Error)) return undefined;
  const { message, cause } = error;
  const inner = cause instanceof Error
    ? `${cause.message} ${(cause as { code?: string }).code}`
    : "";
  const text = `${message} ${inner}`;
  const fault = text.replace(/^.*?\bclient error\b/s, ""); // without the address
  const known = CONNECTION_FAULTS.find(([pattern]) => pattern.test(fault))?.[1];
  const hasProxy = ["HTTPS_PROXY", "https_proxy"].some((name) => readEnvIfGranted(name));
  return hasProxy && (known === UNKNOWN || known === REFUSED)
    ? `${known}, or the proxy of HTTPS_PROXY cannot be reached`
    : known;
}

/**
 * The advice for a connection that failed.
 *
 * @param fault The reason, as {@linkcode connectionFault} gives it.
 */
export function connectionAdvice(fault: string | undefined): string {
  const isSecurity = fault === undefined || /TLS|certificate/.test(fault);
  const certificates = isSecurity ? " and the certificates (DENO_TLS_CA_STORE, DENO_CERT)" : "";
  return `the network, a proxy (HTTPS_PROXY, NO_PROXY)${certificates}, and try again.`;
}

/**
 * The body of an answer as text. The signal ends the reading, also where the caller's `fetch` does not
 * pass signals on. A body over `maxBytes` is cut, or refused: then the result is `undefined`. Its rest
 * is not read in either case. `maxBytes` counts after decompression.
 *
 * @param isWhole Whether a text needs no more. It counts then, however its connection ends.
 */
export async function readText(
  response: Response,
  signal: AbortSignal,
  maxBytes = Infinity,
  overflow: "refuse" | "cut" = "refuse",
  isWhole: (text: string) => boolean = () => false,
): Promise<string | undefined> {
  if (response.body === null) return "";
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await untilAborted(reader.read(), signal);
      if (done) return text + decoder.decode();
      size += value.length;
      if (size > maxBytes && overflow === "refuse") return undefined;
      text += decoder.decode(value, { stream: true });
      if (size > maxBytes) return text;
    }
  } catch (error) {
    if (isWhole(text)) return text;
    throw error;
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

/**
 * The JSON object that a text holds; `undefined` for any other text. There is no error: V8's would
 * quote the text, which may hold a token.
 */
export function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a value of JSON is an object: neither an array nor `null`. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Milliseconds of an HTTP date (RFC 9110, section 5.6.7), else `NaN`. A date without a zone is refused:
 * JavaScript would read it in this computer's zone.
 */
export function parseHttpDate(value: string | null): number {
  return value?.trim().endsWith("GMT") ? Date.parse(value) : NaN;
}

/**
 * Milliseconds of a `Retry-After` header, which holds whole seconds or a date (RFC 9110, section
 * 10.2.3). `undefined` without a usable value.
 */
export function parseRetryAfter(value: string | null): number | undefined {
  if (value === null) return undefined;
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : parseHttpDate(value) - Date.now();
  return Number.isFinite(ms) && ms >= 0 ? ms : undefined;
}

/** Whether two values of JSON are the same, whatever the order of their members. */
export function sameJson(one: unknown, other: unknown): boolean {
  return sorted(one) === sorted(other);
}

function sorted(value: unknown): string | undefined {
  const sort = (_: string, one: unknown) =>
    isObject(one)
      ? Object.fromEntries(Object.entries(one).sort(([a], [b]) => a < b ? -1 : 1))
      : one;
  return JSON.stringify(value, sort);
}

/** As much of a secret as gives it away. Shorter pieces turn up by chance. */
const PIECE = 8;

/** So many secrets are kept: a session that is refreshed for years must not fill the memory. */
const MOST = 200;

/**
 * Adds to the secrets that a session knows: present and former tokens, codes, assertions, keys. Values
 * that are no text are passed over.
 */
export function remember(secrets: Set<string>, values: Iterable<unknown>): void {
  for (const value of values) {
    if (typeof value !== "string" || value === "") continue;
    secrets.delete(value); // one that is used again is among the newest
    secrets.add(value);
  }
  for (const oldest of secrets) {
    if (secrets.size <= MOST) return;
    secrets.delete(oldest);
  }
}

/**
 * Removes secrets from a text from outside, which may echo them: each run of eight characters that the
 * text shares with one, as it is, percent-encoded or in base64. A shorter secret is removed whole.
 */
export function redact(text: string, secrets: Iterable<string>): string {
  const searched = unify(text);
  const starts = new Set<number>();
  for (let at = 0; at < searched.length; at++) starts.add(startOf(searched, at));
  const forms = [...secrets].flatMap(formsOf).filter((form) => form !== "");
  const short = forms.filter((form) => form.length < PIECE);
  const shared = new Set<string>();
  for (const form of forms) {
    for (let at = 0; at + PIECE <= form.length; at++) {
      if (!starts.has(startOf(form, at))) continue;
      const piece = form.slice(at, at + PIECE);
      if (searched.includes(piece)) shared.add(piece);
    }
  }
  let clean = "";
  let end = -1; // of what is removed
  for (let at = 0; at < text.length; at++) {
    const former = end;
    if (shared.has(searched.slice(at, at + PIECE))) end = at + PIECE;
    for (const form of short) {
      if (searched.startsWith(form, at)) end = Math.max(end, at + form.length);
    }
    if (at >= end) clean += text[at];
    else if (at > former) clean += "[removed]";
  }
  return clean;
}

/** A number for the next characters. With 200 tokens, a slice at each place would take seconds. */
function startOf(text: string, at: number): number {
  return text.charCodeAt(at) << 21 ^ text.charCodeAt(at + 1) << 14 ^
    text.charCodeAt(at + 2) << 7 ^ text.charCodeAt(at + 3);
}

/** A secret as it may be echoed; in base64 at each place of a group of three. */
function formsOf(secret: string): string[] {
  const encoded = [0, 1, 2].map((before) => {
    const text = toBase64(new TextEncoder().encode("_".repeat(before) + secret));
    // Its ends hold bits of what stands around the secret.
    return text.slice(before && before + 1).replace(/.?=+$/, "");
  });
  return [secret, encodeURIComponent(secret.toWellFormed()), ...encoded].map(unify);
}

/** One spelling, of the same length, for both kinds of base64 and of percent-encoding. */
function unify(text: string): string {
  return text.replaceAll("+", "-").replaceAll("/", "_")
    .replace(/%[\da-f]{2}/gi, (code) => code.toUpperCase());
}
