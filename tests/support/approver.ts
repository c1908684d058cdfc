import { Browser, type Page } from "./browser.ts";
import { ACCOUNT } from "./oidc_config.ts";

/** How the person at the browser acts. */
export interface ApproveOptions {
  /** Refuse, at the consent page. */
  deny?: boolean;
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
  readonly #verificationUri: string;
  readonly #running = new Set<Promise<void>>();
  readonly #problems: unknown[] = [];
  readonly #closing = new AbortController();

  constructor(verificationUri: string) {
    this.#verificationUri = verificationUri;
  }

  /** Walks code entry, confirmation, sign-in and consent. */
  async approve(userCode: string, options: ApproveOptions = {}): Promise<void> {
    const browser = new Browser(this.#closing.signal);
    let page = await browser.open(this.#verificationUri);
    page = await step(browser, page, "Sign-in", { user_code: userCode });
    page = await step(browser, page, "Confirm Device");
    page = await signIn(browser, page, options);
    expectPage(page, options.deny ? "Sign-in" : "Sign-in Success");
  }

  /** Opens a link of the browser flow, signs in and consents. Gives the page that the browser ends on. */
  async follow(url: string, { stopAt, ...options }: FollowOptions = {}): Promise<Page> {
    const browser = new Browser(this.#closing.signal, stopAt);
    return await signIn(browser, await browser.open(url), options);
  }

  /** Minds an approval that goes on beside the client: {@linkcode close} waits for it. */
  mind(approval: Promise<void>): void {
    const task = approval.catch((error) => {
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

async function signIn(browser: Browser, first: Page, options: ApproveOptions): Promise<Page> {
  const { deny = false, login = ACCOUNT.sub } = options;
  const page = await step(browser, first, "Sign-in", { login, password: "any" });
  if (!deny) return await step(browser, page, "Authorize");
  expectPage(page, "Authorize");
  return await browser.open(`${page.url}/abort`);
}

async function step(browser: Browser, page: Page, title: string, values?: Record<string, string>) {
  expectPage(page, title);
  return await browser.submit(page, values);
}

function expectPage(page: Page, title: string): void {
  if (page.title !== title) {
    throw new Error(`Cannot approve: expected page "${title}", got "${page.title}"`);
  }
}
