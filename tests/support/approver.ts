import { Browser, type Page } from "./browser.ts";
import type { RequestLog } from "./request_log.ts";

/** How the person at the browser acts. */
export interface ApproveOptions {
  /** Refuse: `true` at the consent page, `"confirm"` already where the code has to be confirmed. */
  deny?: boolean | "confirm";
  /** Account to sign in with. @default {"analyst@example.com"} */
  login?: string;
}

/** How a link of the browser flow is followed. */
export interface FollowOptions extends ApproveOptions {
  /** The beginning of addresses that are not opened, as if they led to another machine. */
  stopAt?: string;
}

/** When a person acts who watches for device codes. */
export interface AutoApproveOptions extends ApproveOptions {
  /** Wait this long after the code was issued. @default {0} */
  afterMs?: number;
  /** Wait until the client was told this many times, after the code was issued, that it is pending. */
  afterPolls?: number;
}

interface Next {
  readonly options: AutoApproveOptions;
  readonly done: PromiseWithResolvers<void>;
}

/** The person who approves device codes at the provider's pages. */
export class Approver {
  auto: boolean | AutoApproveOptions = false;
  readonly #verificationUri: string;
  readonly #log: RequestLog;
  readonly #queue: Next[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #problems: unknown[] = [];
  readonly #closing = new AbortController();

  constructor(verificationUri: string, log: RequestLog) {
    this.#verificationUri = verificationUri;
    this.#log = log;
  }

  /** Walks code entry, confirmation, sign-in and consent. */
  async approve(
    userCode: string,
    { deny = false, login }: ApproveOptions = {},
  ): Promise<void> {
    const browser = new Browser(this.#closing.signal);
    let page = await browser.open(this.#verificationUri);
    page = await step(browser, page, "Enter code", { user_code: userCode });
    if (deny === "confirm") {
      return expectPage(
        await step(browser, page, "Confirm device", { abort: "yes" }),
        "Code not accepted",
      );
    }
    page = await step(browser, page, "Confirm device");
    page = await step(browser, page, "Sign in", login === undefined ? {} : { login });
    page = await step(browser, page, "Authorize", deny ? { abort: "yes" } : {});
    expectPage(page, deny ? "Code not accepted" : "Signed in");
  }

  /** Opens a link of the browser flow, signs in and consents. Gives the page that the browser ends on. */
  async follow(url: string, options: FollowOptions = {}): Promise<Page> {
    const { deny = false, login, stopAt } = options;
    const browser = new Browser(this.#closing.signal, stopAt);
    let page = await browser.open(url);
    page = await step(browser, page, "Sign in", login === undefined ? {} : { login });
    expectPage(page, "Authorize");
    return await browser.submit(page, deny ? { abort: "yes" } : {});
  }

  /** Queues one approval for the next code. */
  next(options: AutoApproveOptions = {}): Promise<void> {
    const done = Promise.withResolvers<void>();
    // A test need not await it: what fails is reported at close, too.
    done.promise.catch(() => {});
    this.#queue.push({ options, done });
    return done.promise;
  }

  /** Has to be called for each device code. */
  issued(userCode: string): void {
    const next = this.#queue.shift();
    const options = next?.options ?? (this.auto === true ? {} : this.auto);
    if (options === false) return;
    const task = this.#later(userCode, options).then(
      () => next?.done.resolve(),
      (error) => {
        if (!this.#closing.signal.aborted) this.#problems.push(error);
        next?.done.reject(error);
      },
    ).finally(() => this.#running.delete(task));
    this.#running.add(task);
  }

  /** Notes an error that {@linkcode close} has to return. */
  failed(error: unknown): void {
    this.#problems.push(error);
  }

  /** Ends what is under way; returns what went wrong. */
  async close(): Promise<unknown[]> {
    this.#closing.abort(new DOMException("The test provider was closed", "AbortError"));
    await Promise.all(this.#running);
    for (const { done } of this.#queue) done.resolve();
    return this.#problems;
  }

  async #later(userCode: string, options: AutoApproveOptions): Promise<void> {
    const { afterMs = 0, afterPolls = 0 } = options;
    const from = this.#log.entries.length;
    await delay(afterMs, this.#closing.signal);
    if (afterPolls > 0) await this.#polls(from, afterPolls);
    await this.approve(userCode, options);
  }

  async #polls(from: number, count: number): Promise<void> {
    const earlier = new Set(this.#log.entries.slice(0, from));
    await this.#log.waitFor(
      (request) =>
        !earlier.has(request) && request.status === 400 &&
        request.grantType === "urn:ietf:params:oauth:grant-type:device_code",
      { count, signal: this.#closing.signal, timeoutMs: 60_000 },
    );
  }
}

async function step(
  browser: Browser,
  page: Page,
  title: string,
  values?: Record<string, string>,
): Promise<Page> {
  expectPage(page, title);
  return await browser.submit(page, values);
}

function expectPage(page: Page, title: string): void {
  if (page.title !== title) {
    throw new Error(`Cannot approve: expected page "${title}", got "${page.title}"`);
  }
}

function delay(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    reject(signal.reason);
  }, { once: true });
  return promise;
}
