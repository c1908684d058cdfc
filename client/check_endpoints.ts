import { ValidMindAuthError } from "./errors.ts";
import { isLoopback } from "../backends/hosts.ts";

/** The endpoints that a sign-in uses, by their names in a discovery document. */
const NAMES = ["device_authorization_endpoint", "token_endpoint", "jwks_uri"] as const;

/**
 * Refuses endpoints that secrets must not travel to, before the person is asked for anything: an
 * `https:` issuer's are `https:`, all of them. Those of an `http:` one, which is on loopback, may be
 * `http:` on loopback.
 */
export function checkEndpoints(
  server: Partial<Record<typeof NAMES[number], unknown>>,
  issuer: string,
): void {
  for (const name of NAMES) {
    const text = server[name];
    if (text !== undefined) checkEndpoint(name, text, issuer);
  }
}

function checkEndpoint(name: string, text: unknown, issuer: string): void {
  const url = typeof text === "string" ? URL.parse(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== "") {
    throw new ValidMindAuthError(
      "provider_invalid",
      `Cannot use ${issuer}: the ${name} in its discovery document is no address for requests. ` +
        `Check the issuer, then ask who runs the provider.`,
    );
  }
  const mayBePlain = issuer.startsWith("http:") && isLoopback(url.hostname);
  if (url.protocol === "https:" || mayBePlain) return;
  throw new ValidMindAuthError(
    "insecure_url",
    `Cannot use ${issuer}: its ${name} at ${url.origin} would get secrets in clear text. ` +
      `Check the issuer, then ask who runs the provider.`,
  );
}
