import { ValidMindAuthError } from "./errors.ts";

/** Options of {@linkcode credentialKey}. */
export interface CredentialKeyOptions {
  /** Tells several sign-ins to one client apart: letters, digits and `. _ @ + -`, at most 64. */
  profile?: string;
  /** Whether the tokens are bound to a key. @default false */
  dpop?: boolean;
}

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
 * A profile stands before it, as `profile:name|…`, and before that `dpop|` for tokens that are bound
 * to a key and no use to a program that does not know of it. No other key can be the same, since an
 * issuer is an `https:` or `http:` URL and an audience, which may be any text, comes last.
 *
 * @param issuer The issuer.
 * @param clientId The client id.
 * @param audience The API identifier, if tokens are asked for one.
 * @param options What else tells the credential from others.
 * @returns The key.
 * @throws {ValidMindAuthError} `invalid_options` for a profile with other characters.
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
export function credentialKey(
  issuer: string,
  clientId: string,
  audience?: string | null,
  { profile, dpop = false }: CredentialKeyOptions = {},
): string {
  return [
    dpop ? "dpop" : undefined,
    profile === undefined ? undefined : `profile:${checkProfile(profile, "name a credential")}`,
    normalizeIssuer(issuer),
    normalizeClientId(clientId),
    normalizeAudience(audience),
  ].filter((part) => part !== undefined).join("|");
}

/** A profile's name as it stands in a credential key, where a `|` would make it another key. */
export function checkProfile(profile: string, action: string): string {
  if (/^[A-Za-z0-9._@+-]{1,64}$/.test(profile)) return profile;
  throw new ValidMindAuthError(
    "invalid_options",
    `Cannot ${action}: profile (VM_OIDC_PROFILE) is not a name of 1 to 64 letters, digits and ` +
      `". _ @ + -". Correct it, or leave it out.`,
  );
}

/** Takes matching outer quotes away, trimming before and between. */
function unwrap(text: string, trim: (text: string) => string): string {
  let inner = trim(text);
  while (inner.length >= 2 && inner[0] === inner.at(-1) && (inner[0] === '"' || inner[0] === "'")) {
    inner = trim(inner.slice(1, -1));
  }
  return inner;
}
