/** The narrowest grant for a URL: its host with the port, which a URL leaves out where it can. */
export function netHost(url: URL): string {
  return `${url.hostname}:${url.port || (url.protocol === "https:" ? "443" : "80")}`;
}

/** Whether a URL's host name is this host itself. */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname.endsWith(".localhost") || hostname === "[::1]" ||
    /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

/** Whether a store's path is the address of a KV Connect server. */
export function isUrl(path: string): boolean {
  return /^https?:/.test(path);
}
