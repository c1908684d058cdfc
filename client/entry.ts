import { printable } from "../backends/common/printable.ts";
import type { OidcCredentials } from "../backends/oidc_credentials_backend.ts";
import { option, words } from "../backends/credentials_backend_error.ts";
import { invalidOptions } from "./errors.ts";

/** The path of discovery, which people copy with the issuer. */
const WELL_KNOWN = "/.well-known/openid-configuration";

/**
 * Options of {@linkcode credentialKey}.
 *
 * @category Backends
 */
export interface CredentialKeyOptions {
  /**
   * A name that keeps several sign-ins at one client apart: letters, digits and `. _ @ + -`, at most
   * 64.
   */
  profile?: string;
  /**
   * Whether the tokens are bound to a key.
   *
   * @default {false}
   */
  dpop?: boolean;
  /** The flow. Flows that ask nobody have keys of their own. */
  flow?: string;
}

/**
 * Normalizes an issuer for a credential key, as the Python library does. It removes outer white
 * space, matching outer quotes and trailing slashes. Such quotes come from a `.env` file. White space
 * is that of `String.trim`. Python's `strip` also removes U+001C to U+001F and U+0085, and keeps
 * U+FEFF. The path of the discovery document is removed as well. Python keeps it, and cannot use it.
 *
 * @param issuer The issuer, as configured.
 * @returns The normalized issuer.
 * @category Backends
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
  return unwrap(issuer, (text) => {
    const rest = withoutSlashes(text.trim());
    return rest.endsWith(WELL_KNOWN) ? withoutSlashes(rest.slice(0, -WELL_KNOWN.length)) : rest;
  });
}

/**
 * Normalizes a client id for a credential key: removes outer white space and matching outer quotes.
 *
 * @param clientId The client id, as configured.
 * @returns The normalized client id.
 * @category Backends
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
  return unwrap(clientId);
}

/**
 * Normalizes an audience for a credential key: removes outer white space and matching outer quotes. A
 * trailing slash stays, since providers compare audiences character by character.
 *
 * @param audience The audience, as configured.
 * @returns The normalized audience, or `undefined` if it is empty.
 * @category Backends
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
  return unwrap(audience ?? "") || undefined;
}

/**
 * The key under which a credential is stored: `issuer|clientId` or `issuer|clientId|audience`, each
 * part normalized. A profile precedes it as `profile:name|…`. Before that, `dpop|` stands for tokens
 * that are bound to a key. `client_credentials|` precedes all parts for the client's own token, and
 * `token_exchange|` for an exchanged one. No sign-in of a person has such a key.
 *
 * Different credentials have different keys: only the audience, which comes last, may contain `|`.
 * The Python library joins the same parts in the same way, but accepts a `|` in each. There
 * `credential_key(i, "a|b")` equals `credential_key(i, "a", "b")`.
 *
 * @param issuer The issuer.
 * @param clientId The client id.
 * @param audience The identifier of the API that the tokens are for, if any.
 * @param options The profile, the flow, and whether the tokens are bound to a key.
 * @returns The key.
 * @throws {ValidMindAuthError} `invalid_options` for an issuer or a client id with `|`, and for a
 * profile with a character that {@linkcode CredentialKeyOptions.profile} does not allow.
 * @category Backends
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
  options: CredentialKeyOptions = {},
): string {
  const { profile, dpop = false, flow } = options;
  const action = "name a credential";
  return [
    asksNobody(flow) ? flow : undefined,
    dpop ? "dpop" : undefined,
    profile === undefined ? undefined : `profile:${checkProfile(profile, action)}`,
    checkKeyPart(normalizeIssuer(issuer), "issuer", action),
    checkKeyPart(normalizeClientId(clientId), "clientId", action),
    normalizeAudience(audience),
  ].filter((part) => part !== undefined).join("|");
}

/** The scope that is requested by default. */
export const DEFAULT_SCOPE = "openid profile email offline_access";

const ENTRA =
  /^https:\/\/login\.(microsoftonline\.(com|us)|partner\.microsoftonline\.cn)(:443)?(\/|$)/i;

/** Whether a flow asks no person, so that a new token needs no stored one. */
export function asksNobody(
  flow: string | undefined,
): flow is "client_credentials" | "token_exchange" {
  return flow === "client_credentials" || flow === "token_exchange";
}

/** The token that is the bearer for an issuer. */
export function bearerKind(
  bearer: "auto" | "access_token" | "id_token",
  issuer: string,
  flow?: string,
): "access_token" | "id_token" {
  if (bearer !== "auto") return bearer;
  return !asksNobody(flow) && isEntraIssuer(issuer) ? "id_token" : "access_token";
}

/** Whether an issuer belongs to Microsoft Entra, in the public or a sovereign cloud. */
export function isEntraIssuer(issuer: string): boolean {
  return ENTRA.test(issuer);
}

/** Refuses a `|` in an issuer or a client id, with which it would name another credential. */
export function checkKeyPart(
  value: string,
  name: "issuer" | "clientId",
  action: string,
): string {
  if (!value.includes("|")) return value;
  throw invalidOptions(
    words`Cannot ${action}: ${option(name)} has a "|", which separates the parts of a credential
      key. Correct it.`,
  );
}

/** Refuses a profile with a character that may not stand in a credential key. */
export function checkProfile(profile: string, action: string): string {
  if (/^[A-Za-z0-9._@+-]{1,64}$/.test(profile)) return profile;
  throw invalidOptions(
    words`Cannot ${action}: ${option("profile", { variable: "VM_OIDC_PROFILE" })} is not a name of 1
      to 64 letters, digits and ". _ @ + -". Correct it, or leave it out.`,
  );
}

/** Trims a text and removes its matching outer quotes, each time trimming the rest. */
function unwrap(text: string, trim = (text: string) => text.trim()): string {
  let inner = trim(text);
  while (inner.length >= 2 && inner[0] === inner.at(-1) && (inner[0] === '"' || inner[0] === "'")) {
    inner = trim(inner.slice(1, -1));
  }
  return inner;
}

/**
 * Without trailing slashes. A loop, since `/\/+$/` takes quadratic time for slashes that another
 * character follows.
 */
function withoutSlashes(text: string): string {
  let end = text.length;
  while (text[end - 1] === "/") end--;
  return text.slice(0, end);
}

/** The last time that a row can hold, and Python reads. */
export const LAST_TIME = Date.UTC(9999, 11, 31);

/** The token that goes on requests. */
export interface Bearer {
  token: string;
  /** Its end, in milliseconds since the epoch. */
  expiresAt: number;
  /** Its lifetime in milliseconds, where that is known to be short. */
  lifetimeMs?: number;
  /** The private key that it is bound to, as it is stored. Secret. */
  dpopKey?: unknown;
}

/** Tokens that a provider has issued, after their checks. */
export interface TokenSet {
  accessToken: string;
  refreshToken?: string;
  idToken?: string;
  /** End of the ID token, in seconds since the epoch. */
  idTokenExpiry?: number;
  /** The granted scope, where the provider states it. */
  scope?: string;
  /** Lifetime of the access token, in seconds. */
  expiresIn?: number;
  /** The time until the sign-in itself ends, in seconds, where the provider states it. */
  signInSeconds?: number;
  /** The private key of a new DPoP binding. Secret. */
  dpopKey?: JsonWebKey;
}

/** The bearer of an entry; `undefined` without a token that a request can carry. */
export function bearerOf(
  entry: OidcCredentials,
  kind: "access_token" | "id_token",
): Bearer | undefined {
  const token = entry[kind];
  if (typeof token !== "string" || !isSendable(token)) return undefined;
  const stated = parseExpiry(entry.expires_at);
  // An ID token has an end of its own. A row written by Python has the end of the access token.
  const own = kind === "id_token" ? readClaims(token)?.exp : undefined;
  const expiresAt = typeof own === "number" ? Math.min(own * 1000, LAST_TIME) : stated;
  const { lifetime, dpop_key: dpopKey } = entry;
  return {
    token,
    expiresAt,
    ...(typeof lifetime === "number" && lifetime > 0 && { lifetimeMs: lifetime * 1000 }),
    ...(dpopKey !== undefined && { dpopKey }),
  };
}

/**
 * Whether a request can carry a token. A line break in it would begin another header where a program
 * prints it into one, and the error of `Headers` would quote it.
 */
export function isSendable(token: string): boolean {
  return /^[\x21-\x7e]+$/.test(token);
}

/** Whether a bearer is not about to end. */
export function isFresh(bearer: Bearer | undefined, now: number): bearer is Bearer {
  return bearer !== undefined && now < freshUntil(bearer);
}

/** A bearer counts as expired for the last tenth of its lifetime, at most for 120 seconds. */
export function freshUntil({ expiresAt, lifetimeMs = Infinity }: Bearer): number {
  return expiresAt - Math.min(SKEW_SECONDS * 1000, lifetimeMs / 10);
}

/** The end of a bearer, as events tell it. */
export function endOf(bearer: Bearer | undefined): { expiresAt?: Date } {
  return bearer ? { expiresAt: new Date(bearer.expiresAt) } : {};
}

/** Whether an entry was requested with all of `scope`. A row without a scope, from Python, counts. */
export function coversScope(entry: OidcCredentials, scope: string): boolean {
  if (typeof entry.scope !== "string") return true;
  const asked = new Set(entry.scope.split(" "));
  return scope.split(" ").every((name) => asked.has(name));
}

/** What an entry says of a sign-in, whose names and scopes are text of others. */
export function entryStatus(
  identity: { clientId: string; profile?: string; flow?: string; dpop?: boolean },
  entry: OidcCredentials | undefined,
  bearer: Bearer | undefined,
) {
  const { clientId, profile, flow, dpop } = identity;
  const claims = typeof entry?.id_token === "string" ? readClaims(entry.id_token) : undefined;
  const signInEnd = parseExpiry(entry?.refresh_expires_at);
  return given({
    flow: asksNobody(flow) ? flow : undefined,
    subject: shownText(flow === "client_credentials" ? clientId : claims?.sub),
    name: shownText(claims?.name ?? claims?.preferred_username),
    email: shownText(claims?.email),
    ...endOf(bearer),
    signInEndsAt: signInEnd > 0 ? new Date(signInEnd) : undefined,
    refreshable: asksNobody(flow) ? bearer !== undefined : Boolean(entry?.refresh_token),
    profile,
    dpop: dpop || undefined,
    scope: shownText(entry?.scope),
    grantedScope: shownText(entry?.granted_scope),
  });
}

/** The text of others, where there is some. */
export function shownText(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? printable(value, 255) : undefined;
}

/** The fields that have a value. */
export function given<T extends object>(fields: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const found = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(found) as { [K in keyof T]?: NonNullable<T[K]> };
}

/** The unchecked claims of a token, or its header (part 0), for display and expiry only. */
export function readClaims(token: string, part: 0 | 1 = 1): Record<string, unknown> | undefined {
  try {
    // Deno before 2.5 has no Uint8Array.fromBase64.
    const text = atob(token.split(".")[part]!.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Longest time before its end for which a token counts as expired, in seconds: as in Python. */
export const SKEW_SECONDS = 120;

/**
 * Whether an entry's bearer token has expired, or is about to.
 *
 * @param entry The entry. Only its `expires_at` counts. A timestamp without a zone is UTC. A missing
 * or unreadable one counts as expired.
 * @param skewSeconds How long before its end a token counts as expired, in seconds; 120 by default.
 * @returns `true` if the token should no longer be used.
 * @category Backends
 *
 * @example
 * ```ts
 * import { isExpired } from "@validmind/auth";
 * import { assert } from "@std/assert";
 *
 * assert(isExpired({ expires_at: "2020-01-01T00:00:00.123456+00:00" }));
 * assert(!isExpired({ expires_at: new Date(Date.now() + 300_000).toISOString() }));
 * assert(isExpired({ expires_at: new Date(Date.now() + 300_000).toISOString() }, 600));
 * ```
 */
export function isExpired(
  entry: { expires_at?: string | null },
  skewSeconds: number = SKEW_SECONDS,
): boolean {
  return Date.now() >= parseExpiry(entry.expires_at) - skewSeconds * 1000;
}

/** Milliseconds since the epoch; 0, long past, when the timestamp is missing or unreadable. */
export function parseExpiry(expiresAt: unknown): number {
  if (typeof expiresAt !== "string") return 0;
  const text = expiresAt.trim().replace(" ", "T");
  // Date.parse alone also takes "1" or "after 2099" for a date.
  if (!/^\d{4}-\d\d-\d\d(T|$)/i.test(text)) return 0;
  const hasZone = /(Z|[+-]\d\d(:?\d\d)?(:?\d\d)?)$/i.test(text.slice(10));
  const time = Date.parse(hasZone || text.length <= 10 ? text : `${text}Z`);
  return Number.isNaN(time) ? 0 : time;
}
