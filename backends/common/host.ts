/** Host and port as `--allow-net` takes them, with the default port that `URL.host` omits. */
export function netHost(url: URL): string {
  return `${url.hostname}:${url.port || (url.protocol === "https:" ? "443" : "80")}`;
}

/**
 * Whether a URL's host name is this host itself: `localhost`, 127.0.0.0/8 or `[::1]`. Not
 * `*.localhost`: that is a DNS name, which may lead to another host.
 */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

/** Whether secrets may travel to a URL: over `https:`, or over `http:` on this host's loopback. */
export function isSecureUrl(url: URL): boolean {
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname));
}

/** A secure URL that holds no secret itself, which would be shown with it; `null` for any other text. */
export function parsePlainUrl(text: string): URL | null {
  const url = URL.parse(text);
  if (!url || !isSecureUrl(url)) return null;
  if (url.username + url.password + url.search + url.hash !== "") return null;
  return url;
}
