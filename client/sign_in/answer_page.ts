import type { HttpResponse } from "./http_exchange.ts";

/** Takes the answer's parameters out of the address, and so out of the browser's history. */
const SCRIPT = `history.replaceState(null,"",location.pathname)`;
const STYLE = `:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;` +
  `max-width:32rem;margin:15vh auto;padding:0 1.5rem}h1{font-size:1.4rem}`;

/** The pages that the browser may be shown. None has a word from outside in it. */
const PAGES = {
  signed_in: [200, "Signed in", "You can close this page and go back to the program."],
  failed: [200, "Not signed in", "The program that asked you to sign in says why."],
  taken: [200, "Address taken", "The program that asked you to sign in goes on now."],
  stray: [
    400,
    "Nothing to do here",
    "This address does not belong to the sign-in that waits here. If you were signing in, go back " +
    "to the program and open its link again.",
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
export function bare(status: number, headers: Record<string, string> = {}): HttpResponse {
  return { status, headers: { ...HEADERS, ...headers } };
}

/** A page: no script but its own, and nothing loaded from elsewhere. */
export async function answerPage(name: keyof typeof PAGES): Promise<HttpResponse> {
  const [status, title, text] = PAGES[name];
  const [script, style] = await Promise.all([SCRIPT, STYLE].map(hashOf));
  return {
    status,
    headers: {
      ...HEADERS,
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": `default-src 'none'; script-src ${script}; style-src ${style}; ` +
        `base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    },
    body: `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>${title}</title>` +
      `<meta name="viewport" content="width=device-width,initial-scale=1">` +
      `<script>${SCRIPT}</script><style>${STYLE}</style></head>` +
      `<body><h1>${title}</h1><p>${text}</p></body></html>`,
  };
}

/** A script or a style as Content Security Policy names it. */
async function hashOf(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return `'sha256-${btoa(String.fromCharCode(...new Uint8Array(digest)))}'`;
}
