import { delay, untilAborted } from "../../backends/common/promises.ts";
import { netDenied, ValidMindAuthError } from "../errors.ts";
import { listenPlaces, type RedirectSetting } from "../options/browser_options.ts";
import { named } from "../options/declaration.ts";
import { BrowserStart, emptyAnswer, page } from "./browser_pages.ts";
import { close, exchange, type HttpRequest, isOwnConnection } from "./connection.ts";

/** More connections at once push out the oldest, so that idle ones cannot keep the answer away. */
const MAX_CONNECTIONS = 64;
/** Time for answers that are on their way, at the end. */
const LAST_WORDS_MS = 1000;
/** Pause after a failure to accept a connection. */
const PAUSE_MS = 50;

/**
 * Listens on this computer for the one answer of a browser: RFC 8252, section 7.3. It answers one path, to
 * `GET` alone. It logs nothing, since a proxy in front sends it cookies, and the browser the code.
 */
export class RedirectListener implements AsyncDisposable {
  readonly redirectUri: string;
  /** The place for a form of the notebook. Nobody else knows its path. */
  readonly form: { port: number; path: string };
  readonly #listeners: readonly Deno.TcpListener[];
  readonly #accepting: readonly Promise<void>[];
  readonly #hosts: ReadonlySet<string>;
  readonly #path: string;
  /** The connections, oldest first, and whether their request is whole. */
  readonly #connections = new Map<Deno.TcpConn, { done: Promise<void>; isAsked: boolean }>();
  #start: BrowserStart | undefined;
  #answer: BrowserAnswer | undefined;
  #isOpen = true;

  private constructor(
    listeners: readonly Deno.TcpListener[],
    { hostname, pathOf, uriOf }: RedirectSetting,
  ) {
    const { port } = listeners[0]!.addr;
    this.form = { port, path: `/${crypto.randomUUID()}` };
    this.redirectUri = uriOf(port);
    this.#listeners = listeners;
    this.#path = pathOf(port);
    // A page that leads here by a name of its own (DNS rebinding) cannot send one of these.
    const own = ["localhost", "127.0.0.1", "[::1]", hostname].map((name) => `${name}:${port}`);
    this.#hosts = new Set([...own, new URL(this.redirectUri).host]);
    this.#accepting = listeners.map((listener) => this.#accept(listener));
  }

  /**
   * Binds the first port of the setting that is free.
   *
   * @throws {ValidMindAuthError} `redirect_unavailable`, `permission_required`.
   */
  static open(setting: RedirectSetting): RedirectListener {
    let fault: unknown;
    for (const port of setting.ports) {
      try {
        return new RedirectListener(listenAt(setting.hostname, port), setting);
      } catch (error) {
        fault ??= error;
      }
    }
    throw listenFault(setting, fault);
  }

  /** The address that this program opens in a browser of this computer, in place of the expected link. */
  get startUrl(): string {
    const { hostname } = this.#listeners[0]!.addr as Deno.NetAddr;
    const host = hostname.includes(":") ? `[${hostname}]` : hostname;
    return `http://${host}:${this.form.port}${this.#start!.path}`;
  }

  /**
   * Takes answers from now on, and leads a browser of this computer to the link.
   *
   * @param onOther Is called for a second browser.
   */
  expect(answer: BrowserAnswer, link: string, onOther: () => void): void {
    this.#answer = answer;
    this.#start = new BrowserStart(link, onOther);
  }

  async #accept(listener: Deno.TcpListener) {
    while (this.#isOpen) {
      try {
        this.#serve(await listener.accept());
      } catch {
        // A connection that broke, or too many files: the next one may do better.
        if (this.#isOpen) await delay(PAUSE_MS);
      }
    }
  }

  #serve(connection: Deno.TcpConn) {
    if (this.#connections.size >= MAX_CONNECTIONS) close([...this.#connections.keys()][0]!);
    const visit = { done: Promise.resolve(), isAsked: false };
    this.#connections.set(connection, visit);
    const answer = (request: HttpRequest) => {
      visit.isAsked = true;
      return this.#respond(request, connection);
    };
    visit.done = exchange(connection, answer).finally(() => this.#connections.delete(connection));
  }

  #respond(request: HttpRequest, connection: Deno.TcpConn) {
    if (request.path === this.form.path) return this.#respondToForm(request);
    const start = this.#start;
    if (request.path === start?.path) return start.respond(request, isOwnConnection(connection));
    const { method, path, query, headers } = request;
    if (!this.#hosts.has(headers.get("host")?.toLowerCase() ?? "")) return emptyAnswer(403);
    if (path !== this.#path) return emptyAnswer(404);
    if (method !== "GET") return emptyAnswer(405, { allow: "GET" });
    return this.#respondTo(query);
  }

  /** `GET` tells a page's script that it reaches this listener. `POST` hands in an address. */
  #respondToForm({ method, body }: HttpRequest) {
    if (method === "GET") return emptyAnswer(204);
    if (method !== "POST") return emptyAnswer(405, { allow: "GET, POST" });
    const address = new URLSearchParams(body).get("address") ?? "";
    return this.#respondTo(parametersOf(address));
  }

  #respondTo(parameters: URLSearchParams) {
    if (this.#answer === undefined) return page("stray");
    const fault = this.#answer.offer(parameters);
    // A browser that loads the page anew gets the same page.
    if (fault !== undefined && fault !== SPENT) return page("stray");
    return page(parameters.has("error") ? "refused" : "arrived");
  }

  /** Stops listening at once. Answers to whole requests still get out. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOpen = false;
    for (const listener of this.#listeners) close(listener);
    await Promise.all(this.#accepting); // the port is free only then
    const visits = [...this.#connections];
    for (const [connection, { isAsked }] of visits) if (!isAsked) close(connection);
    const all = Promise.all(visits.map(([, { done }]) => done));
    await untilAborted(all, AbortSignal.timeout(LAST_WORDS_MS)).catch(() => undefined);
    for (const connection of this.#connections.keys()) close(connection);
  }
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
  "it is not from this sign-in. Open the link that is shown now, and copy the whole address of the " +
  "last page, with state and code in it";
const OVER = "its sign-in has ended. Sign in again";
const SPENT = "it was used already. Wait, or sign in again";

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
