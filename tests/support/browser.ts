/** A page as a browser without scripts sees it. */
export interface Page {
  readonly url: string;
  readonly status: number;
  /** The first heading. */
  readonly title: string;
  readonly html: string;
  readonly forms: { action: string; fields: Record<string, string> }[];
}

interface Cookie {
  readonly name: string;
  readonly value: string;
  readonly path: string;
}

const MAX_REDIRECTS = 10;

/** Walks through HTML pages and forms over HTTP: cookies, redirects and hidden fields, no scripts. */
export class Browser {
  readonly #cookies = new Map<string, Cookie>();

  /** @param stopAt The beginning of addresses that are not opened: their page is empty. */
  constructor(private readonly signal?: AbortSignal, private readonly stopAt?: string) {}

  /** Loads a page, following redirects. */
  open(url: string): Promise<Page> {
    return this.#load(url);
  }

  /** Submits the page's only form with its hidden fields plus `values`. */
  submit(page: Page, values: Record<string, string> = {}): Promise<Page> {
    const form = page.forms[0];
    if (form === undefined) {
      throw new Error(`Cannot submit form: "${page.title}" (${page.status}) has none`);
    }
    return this.post(page, Object.entries({ ...form.fields, ...values }));
  }

  /** Posts fields to the action of the page's only form; a name may come more than once. */
  post({ url, forms }: Page, fields: [name: string, value: string][]): Promise<Page> {
    return this.#load(new URL(forms[0]!.action, url).href, new URLSearchParams(fields));
  }

  async #load(start: string, form?: URLSearchParams): Promise<Page> {
    let url = start;
    let body = form;
    for (let hop = 0; hop < MAX_REDIRECTS; hop++) {
      if (this.stopAt !== undefined && url.startsWith(this.stopAt)) return toPage(url, 0, "");
      const response = await this.#request(url, body);
      const location = response.headers.get("location");
      if (location === null || response.status < 300 || response.status > 399) {
        return toPage(url, response.status, await response.text());
      }
      await response.body?.cancel();
      url = new URL(location, url).href;
      body = undefined;
    }
    throw new Error(`Cannot load page: more than ${MAX_REDIRECTS} redirects`);
  }

  async #request(url: string, body?: URLSearchParams): Promise<Response> {
    // A connection that the provider ends while it is idle is reset on Windows, and the next request
    // with it: each has its own.
    using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
    const response = await fetch(url, {
      client,
      method: body ? "POST" : "GET",
      headers: { accept: "text/html", cookie: this.#cookieHeader(url) },
      redirect: "manual",
      ...(body ? { body } : {}),
      ...(this.signal ? { signal: this.signal } : {}),
    });
    for (const line of response.headers.getSetCookie()) this.#store(line);
    return response;
  }

  #cookieHeader(url: string): string {
    const { pathname } = new URL(url);
    return [...this.#cookies.values()]
      .filter(({ path }) => pathname === path || pathname.startsWith(path.replace(/\/?$/, "/")))
      .map(({ name, value }) => `${name}=${value}`).join("; ");
  }

  #store(line: string): void {
    const [, name = "", value = ""] = /^([^=]*)=([^;]*)/.exec(line) ?? [];
    const [, path = "/"] = /; *path=([^;]*)/i.exec(line) ?? [];
    const [, expires] = /; *expires=([^;]*)/i.exec(line) ?? [];
    const key = `${name} ${path}`;
    const gone = value === "" || (expires !== undefined && Date.parse(expires) <= Date.now());
    if (gone) this.#cookies.delete(key);
    else this.#cookies.set(key, { name, value, path });
  }
}

function toPage(url: string, status: number, html: string): Page {
  const forms = [...html.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/g)]
    .map(([, head = "", inner = ""]) => ({
      action: htmlAttribute(head, "action") ?? url,
      fields: Object.fromEntries(
        [...inner.matchAll(/<input\b[^>]*>/g)]
          .map(([tag]) => [htmlAttribute(tag, "name"), htmlAttribute(tag, "value") ?? ""])
          .filter(([name]) => name !== undefined),
      ),
    }));
  const title = html.match(/<h1>([^<]*)<\/h1>/)?.[1] ?? "";
  return { url, status, title, html, forms };
}

function htmlAttribute(tag: string, name: string): string | undefined {
  const value = tag.match(new RegExp(`\\b${name}="([^"]*)"`))?.[1];
  return value?.replaceAll("&quot;", '"').replaceAll("&#39;", "'")
    .replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}
