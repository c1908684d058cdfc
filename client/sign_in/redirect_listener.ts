import { netDenied, ValidMindAuthError } from "../errors.ts";
import { listenPlaces, type RedirectSetting } from "../options/browser_options.ts";
import { named } from "../options/declaration.ts";
import { type BrowserStart, browserStart, emptyAnswer, page } from "./browser_pages.ts";
import { isOwnConnection, serve } from "./connection.ts";

/**
 * Listens on this computer for the one answer of a browser: RFC 8252, section 7.3. It answers one path, to
 * `GET` alone. It logs nothing, since a proxy in front sends it cookies, and the browser the code.
 *
 * @throws {ValidMindAuthError} `redirect_unavailable`, `permission_required`.
 */
export function openRedirectListener(setting: RedirectSetting) {
  const listeners = listenAtFirst(setting);
  const { port, hostname } = listeners[0]!.addr;
  const redirectUri = setting.uriOf(port);
  const answerPath = setting.pathOf(port);
  const own = ["localhost", "127.0.0.1", "[::1]", setting.hostname];
  // A page that leads here by a name of its own (DNS rebinding) cannot send one of these.
  const hosts = [...own.map((name) => `${name}:${port}`), new URL(redirectUri).host];
  let start: BrowserStart | undefined;
  let answer: BrowserAnswer | undefined;
  const server = serve(listeners, (request, connection) => {
    const { method, path, query, headers } = request;
    if (path === start?.path) return start.respond(request, isOwnConnection(connection));
    if (!hosts.includes(headers.get("host")?.toLowerCase() ?? "")) return emptyAnswer(403);
    if (path !== answerPath) return emptyAnswer(404);
    if (method !== "GET") return emptyAnswer(405, { allow: "GET" });
    return pageAfter(query, answer);
  });

  return {
    port,
    redirectUri,
    /**
     * Takes answers from now on, and leads a browser of this computer to the link.
     *
     * @param onOther Is called for a second browser.
     * @returns The address that this program opens in a browser of this computer, in place of the link.
     */
    expect(expected: BrowserAnswer, link: string, onOther: () => void) {
      answer = expected;
      start = browserStart(link, onOther);
      const host = hostname.includes(":") ? `[${hostname}]` : hostname;
      return `http://${host}:${port}${start.path}`;
    },
    ...server,
  };
}

function pageAfter(parameters: URLSearchParams, answer: BrowserAnswer | undefined) {
  const fault = answer ? answer.offer(parameters) : FOREIGN;
  // A browser that loads the page anew gets the same page.
  if (fault !== undefined && fault !== SPENT) return page("stray");
  return page(parameters.has("error") ? "refused" : "arrived");
}

/** Binds the first port of the setting that is free. */
function listenAtFirst(setting: RedirectSetting) {
  let fault: unknown;
  for (const port of setting.ports) {
    try {
      return listenAt(setting.hostname, port);
    } catch (error) {
      fault ??= error;
    }
  }
  throw listenFault(setting, fault);
}

/**
 * Listens at a port; for `localhost`, which browsers take for either, at both kinds of address. Another
 * program at one of them would get code and state. PKCE keeps it from a token: it could end the sign-in.
 */
function listenAt(hostname: string, port: number) {
  if (hostname !== "localhost") return [Deno.listen({ hostname, port })];
  const first = Deno.listen({ hostname: "127.0.0.1", port });
  try {
    return [first, Deno.listen({ hostname: "::1", port: first.addr.port })];
  } catch (error) {
    const { AddrInUse, NotCapable } = Deno.errors;
    if (!(error instanceof AddrInUse || error instanceof NotCapable)) return [first]; // no IPv6 here
    first.close();
    throw error;
  }
}

function listenFault(setting: RedirectSetting, error: unknown) {
  const places = listenPlaces(setting);
  if (error instanceof Deno.errors.NotCapable) {
    return netDenied("listen for the browser's answer", ...places);
  }
  const reason = error instanceof Deno.errors.AddrInUse
    ? "another program, or another sign-in of this one, listens there"
    : `the system refuses it (${(error as Error).name})`;
  return new ValidMindAuthError("redirect_unavailable", {
    action: `listen at ${places.join(", ")} for the browser's answer`,
    reason,
    remedy: `Give other ports that are registered at the provider (${named("redirectUri")}, ` +
      `${named("listen")}), or free these.`,
  });
}

/** The parameters that no answer may have twice. */
const SINGLE = ["state", "code", "error", "iss"];

/** The reasons why an answer is not taken, for the person who copied its address. */
const FOREIGN =
  "it is not from this sign-in, or lacks state and code. Open the link that is shown now";
const OVER = "its sign-in has ended. Sign in again";
const SPENT = "it was used already. Wait, or sign in again";

/** What {@linkcode browserAnswer} gives. */
export type BrowserAnswer = ReturnType<typeof browserAnswer>;

/**
 * The one answer that a sign-in in the browser waits for. It may come to the listener, or be handed in by
 * the person. The first one that carries the sign-in's own state is taken, and nothing else changes the
 * wait.
 *
 * @param state The state of the request. Secret.
 */
export function browserAnswer(state: string) {
  const { promise: taken, resolve } = Promise.withResolvers<URLSearchParams>();
  let closed: string | undefined;
  return {
    /** The answer, once it is there. */
    taken,
    /** Hands in the parameters of an address. Gives the reason where they are not taken. */
    offer(parameters: URLSearchParams): string | undefined {
      const isAnswer = parameters.has("code") || parameters.has("error");
      const isSingle = SINGLE.every((name) => parameters.getAll(name).length <= 1);
      if (!isAnswer || !isSingle || parameters.get("state") !== state) return FOREIGN;
      if (closed !== undefined) return closed;
      closed = SPENT;
      resolve(parameters);
      return undefined;
    },
    /** Takes no answer any more: nobody waits for it. */
    end: () => closed ??= OVER,
  };
}

/** The parameters of an address as a person copies it: whole, or from its question mark on. */
export function parametersIn(address: string): URLSearchParams {
  const text = address.trim().replace(/^<|>$/g, "");
  const url = URL.parse(text);
  if (url && /^https?:$/.test(url.protocol)) return url.searchParams;
  return new URLSearchParams(/^\??[\w.~-]+=[^\s]*$/.test(text) ? text : "");
}
