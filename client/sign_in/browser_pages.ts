import type { HttpRequest, HttpResponse } from "./connection.ts";

/** Takes the answer's parameters out of the address, and so out of the browser's history. */
const SCRIPT = `history.replaceState(null,"",location.pathname)`;
const STYLE = `:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;` +
  `max-width:32rem;margin:15vh auto;padding:0 1.5rem}h1{font-size:1.4rem}`;

/** The page of the person's browser, which leads on by a form, and goes on by itself. */
const LEADING_ON = {
  // Browsers hold the redirect after a form to the policy, too, and that leads to the provider.
  policy: "",
  form: `<form method="post"><button>Go to the sign-in page</button></form>`,
  script: "document.forms[0].submit()",
};

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
    "program and open its link again. If the address has an error in it, the provider refused you.",
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
export function emptyAnswer(status: number, headers: Record<string, string> = {}): HttpResponse {
  return { status, headers: { ...HEADERS, ...headers } };
}

/**
 * A page: no script but its own, and nothing loaded from elsewhere. Without further parts it takes the
 * answer out of its address.
 */
export function page(
  name: keyof typeof PAGES,
  { policy = "; form-action 'none'", form = "", script = SCRIPT } = {},
): HttpResponse {
  const [status, title, text] = PAGES[name];
  const nonce = crypto.randomUUID();
  return {
    status,
    headers: {
      ...HEADERS,
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": `default-src 'none'; script-src 'nonce-${nonce}'; ` +
        `style-src 'nonce-${nonce}'; base-uri 'none'; frame-ancestors 'none'${policy}`,
    },
    body: `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>${title}</title>` +
      `<meta name="viewport" content="width=device-width,initial-scale=1">` +
      `<style nonce="${nonce}">${STYLE}</style></head><body><h1>${title}</h1><p>${text}</p>` +
      `${form}<script nonce="${nonce}">${script}</script></body></html>`,
  };
}

/** Knows the browser that has begun. */
const COOKIE = "vm-auth-start";

/** What {@linkcode browserStart} gives. */
export type BrowserStart = ReturnType<typeof browserStart>;

/**
 * The page that this program opens in the person's browser in place of the link. Every user of the host
 * can read the arguments of the program that opens it. With the link they could sign in themselves, and
 * the person's program would take it for the person.
 *
 * The link goes to a process of the same user. Where nothing tells whose it is, the link goes to the
 * browser that asks first. A second one ends the sign-in, since either may be the stranger's.
 *
 * @param onOther Is called for a second browser.
 */
export function browserStart(link: string, onOther: () => void) {
  const path = `/${crypto.randomUUID()}`; // others can read it
  const cookie = `${COOKIE}=${crypto.randomUUID()}`;
  let hasBegun = false;
  return {
    path,
    /**
     * Answers `GET` by a form that sends itself, since some desktops and scanners look at an address before
     * the browser opens it. `POST` leads to the link.
     *
     * @param isOwn Whether the request is of this user.
     */
    respond({ method, headers }: HttpRequest, isOwn: boolean | undefined): HttpResponse {
      if (isOwn === false) return emptyAnswer(404);
      if (method === "GET") return page("start", LEADING_ON);
      if (method !== "POST") return emptyAnswer(405, { allow: "GET, POST" });
      const isKnown = isOwn || headers.get("cookie")?.split(/;\s*/).includes(cookie);
      if (hasBegun && !isKnown) {
        onOther();
        return page("started");
      }
      hasBegun = true;
      const own = `${cookie}; Path=${path}; HttpOnly; SameSite=Strict`;
      return emptyAnswer(303, { location: link, "set-cookie": own });
    },
  };
}
