/**
 * An issuer as it stands in a credential key: without white space, matching outer quotes (a value
 * copied from a `.env` file) and trailing slashes. Equal to what the Python library does.
 *
 * @param issuer The issuer, as configured.
 * @returns The normalised issuer.
 *
 * @example
 * ```ts
 * import { normalizeIssuer } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(normalizeIssuer(' "https://login.example.com/" '), "https://login.example.com");
 * ```
 */
export function normalizeIssuer(issuer: string): string {
  return unwrap(issuer, (text) => text.trim().replace(/\/+$/, ""));
}

/**
 * A client id as it stands in a credential key: without white space and matching outer quotes.
 *
 * @param clientId The client id, as configured.
 * @returns The normalised client id.
 *
 * @example
 * ```ts
 * import { normalizeClientId } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(normalizeClientId("'my-app'"), "my-app");
 * ```
 */
export function normalizeClientId(clientId: string): string {
  return unwrap(clientId, (text) => text.trim());
}

/**
 * An audience as it stands in a credential key: without white space and matching outer quotes. A
 * trailing slash stays: providers compare audiences to the letter.
 *
 * @param audience The audience, as configured.
 * @returns The normalised audience, or `undefined` when nothing is left.
 *
 * @example
 * ```ts
 * import { normalizeAudience } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(normalizeAudience("https://api.example.com/"), "https://api.example.com/");
 * assertEquals(normalizeAudience(" "), undefined);
 * ```
 */
export function normalizeAudience(audience?: string | null): string | undefined {
  return unwrap(audience ?? "", (text) => text.trim()) || undefined;
}

/**
 * The key under which a credential is stored: `issuer|clientId`, or `issuer|clientId|audience`, each
 * normalised. All that decides whose tokens they are is in it.
 *
 * @param issuer The issuer.
 * @param clientId The client id.
 * @param audience The API identifier, if tokens are asked for one.
 * @returns The key.
 *
 * @example
 * ```ts
 * import { credentialKey } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(
 *   credentialKey("https://login.example.com/", "my-app", "https://api.example.com"),
 *   "https://login.example.com|my-app|https://api.example.com",
 * );
 * ```
 */
export function credentialKey(issuer: string, clientId: string, audience?: string | null): string {
  const parts = [normalizeIssuer(issuer), normalizeClientId(clientId), normalizeAudience(audience)];
  return parts.filter((part) => part !== undefined).join("|");
}

/** Takes matching outer quotes away, trimming before and between. */
function unwrap(text: string, trim: (text: string) => string): string {
  let inner = trim(text);
  while (inner.length >= 2 && inner[0] === inner.at(-1) && (inner[0] === '"' || inner[0] === "'")) {
    inner = trim(inner.slice(1, -1));
  }
  return inner;
}
