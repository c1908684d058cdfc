import { isLoopback } from "../backends/hosts.ts";
import { ValidMindAuthError } from "./errors.ts";

/**
 * The URL, if secrets may travel to it: `https:`, or `http:` on this host's own loopback.
 *
 * @param action As in "Cannot {action} …": what the URL is for.
 * @throws {ValidMindAuthError} `invalid_options` when it is no http(s) URL, `insecure_url`.
 */
export function secureUrl(text: string, action: string): URL {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new ValidMindAuthError(
      "invalid_options",
      `Cannot ${action} ${JSON.stringify(text)} is not an http(s) URL. Give one such as ` +
        `"https://login.example.com".`,
    );
  }
  if (url.protocol === "https:" || isLoopback(url.hostname)) return url;
  throw new ValidMindAuthError(
    "insecure_url",
    `Cannot ${action} ${url.origin} would get secrets in clear text. Use https: (http: is for ` +
      `localhost, 127.0.0.1 and [::1] only).`,
  );
}
