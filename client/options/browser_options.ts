import { readEnvIfGranted } from "../../backends/common/environment.ts";
import { isLoopback } from "../../backends/common/host.ts";
import { isEntraIssuer } from "../entry/bearer.ts";
import { invalidOptions } from "../errors.ts";
import type { PermissionNeed } from "../format_permissions.ts";
import type { SessionOptions } from "../session_options.ts";
import { type BROWSER_OPTIONS, COMPLETE, named } from "./declaration.ts";

/** The place of the listener's port in a redirect URI. */
const PORT = "{port}";

/** Where the answer of a browser comes to, and where it is listened for. */
export interface RedirectSetting {
  /** The host to listen on: a loopback host. */
  hostname: string;
  /** Ports to try, in this order; 0 is a free one. */
  ports: readonly number[];
  /** The path that the listener is asked for. */
  pathOf(port: number): string;
  /** The redirect URI as the provider is told. */
  uriOf(port: number): string;
}

/** Options of a sign-in in the browser. */
export interface BrowserOptions
  extends Pick<SessionOptions, typeof BROWSER_OPTIONS[number] | "onAuthorizationUrl"> {
  /** Adds the values of other places, which only a sign-in in the browser reads. */
  readonly [COMPLETE]?: (options: BrowserOptions) => BrowserOptions;
}

/** The parameters that this module sends itself, or must not send in a browser's address. */
const RESERVED = (
  "audience client_assertion client_assertion_type client_id client_secret code code_challenge " +
  "code_challenge_method code_verifier dpop_jkt grant_type iss login_hint nonce redirect_uri " +
  "request request_uri response_mode response_type scope state"
).split(" ");

/** Scheme, host, port and path. Providers compare the text, and a URL object would also take others. */
const PLAIN_URI = /^https?:\/\/(?:[^\s/\\?#@:[\]]+|\[[\da-f:.]+\])(?::([1-9]\d*))?(\/[^?#]*)?$/i;

/** Checks the options of a sign-in in the browser, before any work. */
export function checkBrowserOptions(options: BrowserOptions, action: string): void {
  resolveRedirect(options, "", action);
  for (const text of Object.keys(options.authorizationParameters ?? {})) {
    const name = text.trim().toLowerCase();
    const isReserved = RESERVED.includes(name);
    if (!isReserved && /^[\w.-]+$/.test(text)) continue; // RFC 6749, appendix A
    const taken = isReserved ? `no ${name}` : 'only names of letters, digits and ". _ -"';
    throw invalidOptions(
      action,
      `${named("authorizationParameters")} takes ${taken}`,
      "Leave it out, or give it by its own option.",
    );
  }
}

/**
 * The setting of the options, or of the default: a free port of this computer; on a hub with `listen`, the
 * hub's own address for everybody.
 *
 * @param action The caller's action, as in "Cannot {action}".
 * @throws {ValidMindAuthError} `invalid_options`.
 */
export function resolveRedirect(
  given: BrowserOptions,
  issuer: string,
  action: string,
): RedirectSetting {
  const options = given[COMPLETE]?.(given) ?? given;
  const listen = options.listen?.trim();
  const uri = options.redirectUri?.trim() ?? defaultUri(issuer, listen !== undefined);
  const withPort = (used: number) => uri.replaceAll(PORT, String(used));
  const plain = withPort(65_535); // of the most digits
  const [isPlain, stated, path = "/"] = PLAIN_URI.exec(plain) ?? [];
  const url = URL.parse(plain);
  const isOwn = url?.protocol === "http:" && isLoopback(url.hostname);
  // Behind a proxy, which `listen` tells, the browser comes to its address.
  const isBehindProxy = listen !== undefined && /^https:/i.test(uri);
  const isReachable = isOwn && (listen !== undefined || uri === plain) || isBehindProxy;
  // A browser comes back to the path as the URL object has it.
  if (url === null || isPlain === undefined || url.pathname !== path || !isReachable) {
    throw invalidOptions(
      action,
      `${named("redirectUri")} is not an address to come back to`,
      "Give the registered one: a loopback address of host, port and path alone, such as " +
        `${LOOPBACK_URI}. An https: address needs ${named("listen")}, such as 127.0.0.1:8765.`,
    );
  }
  const own = { hostname: url.hostname, ports: [Number(stated ?? 0)] };
  const { hostname, ports } = (listen && readListen(listen, action)) || own;
  return {
    hostname: hostname.replace(/^\[|\]$/g, ""),
    ports,
    pathOf: (used) => pathBehindProxy(new URL(withPort(used)).pathname, used),
    uriOf(used) {
      if (!isOwn || stated !== undefined || uri !== plain) return withPort(used);
      return uri.replace(/^(https?:\/\/[^/?#]+)/i, `$1:${used}`);
    },
  };
}

/**
 * Where the browser's answer is listened for: at both addresses of `localhost`, of which the second has
 * the port of the first, whatever that is.
 */
export function listenPlaces({ hostname, ports }: RedirectSetting): string[] {
  const at = (host: string) => ports.map((port) => `${host}:${port}`);
  if (hostname !== "localhost") return at(hostname.replace(/.*:.*/, "[$&]"));
  return [...at("127.0.0.1"), ...at("[::1]").map((place) => place.replace(/:0$/, ""))];
}

/** The permissions to listen. A free port needs the grant of port 0. */
export function listenNeeds(setting: RedirectSetting): PermissionNeed[] {
  const reason = "to get the browser's answer at sign-in";
  return listenPlaces(setting).map((host) => ({ name: "net", host, reason, need: "sign_in" }));
}

const LOOPBACK_URI = "http://127.0.0.1/callback";

/** Only the address that everybody on the hub shares can be registered at a provider. */
function defaultUri(issuer: string, hasListen: boolean) {
  const hub = hasListen && readEnvIfGranted("JUPYTERHUB_PUBLIC_HUB_URL");
  if (hub) return `${hub.replace(/\/$/, "")}/user-redirect/proxy/${PORT}/callback`;
  // Entra allows any port on localhost, and 127.0.0.1 only by the app's manifest.
  if (isEntraIssuer(issuer)) return "http://localhost";
  return LOOPBACK_URI;
}

function readListen(text: string, action: string) {
  const [, hostname = "", list = ""] = /^(\[[\da-f:]+\]|[\w.-]+):(\d+(?:,\d+)*)$/i.exec(text) ?? [];
  const ports = list.split(",").map(Number);
  const isUsable = isLoopback(hostname) && ports.every((port) => port > 0 && port < 65_536);
  if (isUsable) return { hostname, ports };
  throw invalidOptions(
    action,
    `${named("listen")} is not a loopback host with ports`,
    "Give 127.0.0.1 with one or more, such as 127.0.0.1:8765 or 127.0.0.1:8765,8766.",
  );
}

/** jupyter-server-proxy cuts off its own part of the path. */
function pathBehindProxy(path: string, port: number) {
  return path.replace(new RegExp(`^.*?/proxy/${port}/`), "/");
}
