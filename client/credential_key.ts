import { isProbeKey } from "../backends/common/marks.ts";
import type { OidcCredentials } from "../backends/oidc_credentials_backend.ts";
import { asksNobody } from "./entry/bearer.ts";
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

/** The key of an identity. */
export function keyOfIdentity(
  identity: CredentialKeyOptions & { issuer: string; clientId: string; audience?: string },
): string {
  return credentialKey(identity.issuer, identity.clientId, identity.audience, identity);
}

/** A key by its parts. Those that identify the client at its provider are the `identity`. */
export const KEY_FORM =
  /^(?:(?<flow>client_credentials|token_exchange)\|)?(?<dpop>dpop\|)?(?:profile:(?<profile>[^|]*)\|)?(?<identity>(?!profile:)(?<issuer>[^|]*)\|(?<clientId>[^|]*)(?:\|(?<audience>.*))?)$/s;

/**
 * Whether an entry may stand under a key: its issuer and client, normalized, are the key's. An absent field
 * fits, and so does any entry under a key of another form, such as a probe's.
 */
export function isEntryOfKey(entry: OidcCredentials, key: string): boolean {
  const parts = KEY_FORM.exec(key)?.groups;
  if (parts === undefined || isProbeKey(key)) return true;
  const issuer: unknown = entry.issuer ?? parts.issuer;
  const clientId: unknown = entry.client_id ?? parts.clientId;
  if (typeof issuer !== "string" || typeof clientId !== "string") return false;
  const identity = `${normalizeIssuer(issuer)}|${normalizeClientId(clientId)}`;
  return `${parts.identity}|`.startsWith(`${identity}|`);
}

/** Refuses an issuer or a client id with a `|`, which would name another credential, or a control character. */
export function checkKeyPart(value: string, name: string, action: string): string {
  if (!/[|\p{C}]/u.test(value)) return value;
  throw invalidOptions(
    action,
    `${name} has a "|", which separates the parts of a credential key, or a control character`,
    "Correct it.",
  );
}

/** Refuses a profile with a character that may not stand in a credential key. */
export function checkProfile(profile: string, action: string): string {
  if (/^[A-Za-z0-9._@+-]{1,64}$/.test(profile)) return profile;
  throw invalidOptions(
    action,
    'profile (VM_OIDC_PROFILE, --profile) is not a name of 1 to 64 letters, digits and ". _ @ + -"',
    "Correct it, or leave it out.",
  );
}

/** Trims a text and removes its matching outer quotes, each time trimming the rest. */
function unwrap(text: string, trim = (text: string) => text.trim()) {
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
function withoutSlashes(text: string) {
  let end = text.length;
  while (text[end - 1] === "/") end--;
  return text.slice(0, end);
}
