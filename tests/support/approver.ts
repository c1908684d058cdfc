import { Browser, type Page } from "./browser.ts";

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

/** The person who approves device codes at the provider's pages. */
export class Approver {
  auto: boolean | ApproveOptions = false;
  readonly #verificationUri: string;
  readonly #running = new Set<Promise<void>>();
  readonly #problems: unknown[] = [];
  readonly #closing = new AbortController();

  constructor(verificationUri: string) {
    this.#verificationUri = verificationUri;
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

  /** Has to be called for each device code. */
  issued(userCode: string): void {
    const options = this.auto === true ? {} : this.auto;
    if (options === false) return;
    const task = this.approve(userCode, options).catch((error) => {
      if (!this.#closing.signal.aborted) this.#problems.push(error);
    }).finally(() => this.#running.delete(task));
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
    return this.#problems;
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
