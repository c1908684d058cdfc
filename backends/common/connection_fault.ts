import { getEnv, isEnvGranted, PROXY_VARIABLES, readEnvIfGranted } from "./environment.ts";
import { isLoopback } from "./host.ts";
import { assertNet } from "./permission.ts";
import { isDeno } from "./runtime.ts";

/** A reason of {@linkcode connectionFault}: the cure is an authority to trust. */
export const UNTRUSTED = "its certificate is not trusted";

const EXPIRED = "its certificate is not valid at this computer's time";

const OTHER_HOST = "its certificate is for another host";

const NO_HTTPS = "the host does not speak https: at that port";

const PROXIED = "HTTP_PROXY would get it in clear text, unless NO_PROXY has this host";

const LASTING: readonly unknown[] = [UNTRUSTED, EXPIRED, OTHER_HOST, NO_HTTPS, PROXIED];

/** Reasons that may be a proxy's, to which the connection goes in place of the host. */
const UNKNOWN = "the host name is not known";

const REFUSED = "nothing answers at that host and port";

/** The failures of a connection by the runtime's words for them. */
const CONNECTION_FAULTS: readonly (readonly [RegExp, string])[] = [
  [/dns error|lookup address|getaddrinfo/i, UNKNOWN],
  [/connection refused|actively refused|ECONNREFUSED/i, REFUSED],
  [/proxy auth/i, "the proxy wants a name and a password (407): HTTPS_PROXY can hold them"],
  [/CertificateRequired/, "the host wants a client certificate, and there is none"],
  [/certificate.{0,20}(expired|not ?valid ?yet)|CERT_(HAS_EXPIRED|NOT_YET_VALID)/i, EXPIRED],
  [/not ?valid ?for ?name|ALTNAME_INVALID/i, OTHER_HOST],
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

/** The refusal of a request to this computer that Deno would send to a proxy. */
class ProxyRefusal extends TypeError {}

/**
 * Refuses a request of the system's own `fetch` that Deno would deny, and one to this computer that Deno would
 * send to a proxy: secrets would travel in clear text.
 */
export function assertSafe(url: URL): void {
  assertNet(url);
  const { protocol, hostname } = url;
  if (!isDeno || protocol !== "http:" || !isLoopback(hostname)) return;
  const [past, ...proxies] = PROXY_VARIABLES.map((name) =>
    [name, name.toLowerCase()].map((one) => isEnvGranted(one) ? getEnv(one) : undefined)
  );
  if (!proxies.flat().some((proxy) => proxy?.trim())) return;
  // An empty one hides the one in small letters.
  const list = past!.find((one) => one !== undefined) ?? "";
  if (!list.split(",").some((one) => hasHost(one.trim(), hostname))) {
    throw new ProxyRefusal(PROXIED);
  }
}

/** Whether an item of NO_PROXY has a loopback host, as Deno reads it: a star is for names alone. */
function hasHost(item: string, host: string) {
  if (host === "localhost") return ["*", host, `.${host}`].includes(item);
  if (host === "[::1]") return ["::1", "::1/128"].includes(item);
  return [host, "127.0.0.0/8"].includes(item);
}

/**
 * The reason of an error of `fetch` in words; `undefined` where it is not known.
 *
 * @param timeoutMs The time limit, where it has ended the request.
 */
export function connectionFault(error: unknown, timeoutMs?: number): string | undefined {
  if (timeoutMs !== undefined) return `no complete answer came within ${timeoutMs} ms`;
  if (!(error instanceof Error)) return undefined;
  if (error instanceof ProxyRefusal) return PROXIED;
  const { message, code }: { message?: string; code?: string } = Object(error.cause);
  const text = [error.message, message, code].join(" ");
  const fault = text.replace(/^.*?\bclient error\b/s, ""); // without the address
  const known = CONNECTION_FAULTS.find(([pattern]) => pattern.test(fault))?.[1];

  if (known !== UNKNOWN && known !== REFUSED) return known;
  const hasProxy = ["HTTPS_PROXY", "https_proxy"].some((name) => readEnvIfGranted(name));
  return known + (hasProxy ? ", or the proxy of HTTPS_PROXY cannot be reached" : "");
}

/** Whether another try does not change a reason, as {@linkcode connectionFault} gives it. */
export function isLasting(fault: string | undefined): boolean {
  return LASTING.includes(fault);
}

/**
 * The advice for a connection that failed. It goes on with "Check this address, …".
 *
 * @param fault The reason, as {@linkcode connectionFault} gives it.
 */
export function connectionAdvice(fault: string | undefined): string {
  if (fault === EXPIRED) {
    return "and this computer's clock. The host's administrator has to renew an expired certificate.";
  }
  if (fault === OTHER_HOST) return "and that no network or proxy answers in the host's place.";
  const isSecurity = fault === undefined || /TLS|certificate/.test(fault);
  const certificates = isSecurity ? " and the certificates (DENO_TLS_CA_STORE, DENO_CERT)" : "";
  return `the network, a proxy (HTTPS_PROXY, NO_PROXY)${certificates}, and try again.`;
}
