/** The narrowest grant for a URL: its host with the port, which a URL leaves out where it can. */
export function netHost(url: URL): string {
  return `${url.hostname}:${url.port || (url.protocol === "https:" ? "443" : "80")}`;
}
