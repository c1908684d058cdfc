import { given } from "../../backends/common/given.ts";
import { isInKv } from "../../backends/common/inner_stores.ts";
import { quoteArgument } from "../../backends/common/shell.ts";
import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";
import {
  type Bearer,
  bearerOf,
  coversScope,
  isFresh,
  LAST_TIME,
  type TokenSet,
} from "../entry/bearer.ts";
import { DEFAULT_SCOPE } from "../entry/bearer_kind.ts";
import { readClaims } from "../entry/claims.ts";
import { codeOf, ValidMindAuthError } from "../errors.ts";
import { SKEW_SECONDS } from "../is_expired.ts";
import { named, OPTIONS } from "../options/declaration.ts";
import type { OidcIdentity } from "../options/resolve_identity.ts";
import type { Runtime } from "../options/resolve_options.ts";
import { importDpopKey } from "../provider/dpop_key.ts";
import type { ProviderRefusedError } from "../provider/error.ts";
import { loadProvider } from "./clear.ts";
import { getOrSet, type HeldTokens, type TokenSourceOptions } from "./source.ts";
import { isSpent } from "./store.ts";

/** Lifetime of a token where the provider states none, in seconds: as in the Python library. */
const DEFAULT_SECONDS = 3600;

/**
 * The entry for new tokens. A refresh token or an ID token that the provider did not send again stays,
 * and so do the fields of other programs.
 */
export function toEntry(
  tokens: TokenSet,
  identity: OidcIdentity,
  kind: "access_token" | "id_token",
  now: number,
  previous?: OidcCredentials,
): OidcCredentials {
  const expiresAt = Math.min(endOf(tokens, kind, now), LAST_TIME);
  const lifetime = (expiresAt - now) / 1000;
  const { lifetime: _, granted_scope, refresh_expires_at, ...kept }: Partial<OidcCredentials> =
    previous ?? {};
  const { signInSeconds, refreshToken } = tokens;
  const signInEnd = signInSeconds === undefined
    ? refreshToken === undefined ? refresh_expires_at : undefined
    : new Date(Math.min(now + signInSeconds * 1000, LAST_TIME)).toISOString();
  const asked = previous === undefined ? identity.scope : previous.scope;
  const granted = tokens.scope ?? granted_scope;
  return {
    ...kept,
    issuer: identity.issuer,
    client_id: identity.clientId,
    access_token: tokens.accessToken,
    refresh_token: refreshToken ?? previous?.refresh_token ?? null,
    id_token: tokens.idToken ?? previous?.id_token ?? null,
    expires_at: new Date(expiresAt).toISOString(),
    ...given({
      // Only where it shortens the skew, so that other rows stay as Python writes them.
      lifetime: lifetime > 0 && lifetime < SKEW_SECONDS * 10 ? lifetime : undefined,
      audience: identity.audience,
      scope: previous === undefined ? identity.scope : undefined,
      // Only where it differs, for the same reason.
      granted_scope: typeof granted === "string" && !isSameScope(granted, asked)
        ? granted
        : undefined,
      refresh_expires_at: signInEnd,
      dpop_key: tokens.dpopKey,
    }),
  };
}

/** The end of the bearer; without a stated lifetime that of the token's own claims. */
function endOf(tokens: TokenSet, kind: "access_token" | "id_token", now: number): number {
  const { expiresIn, idTokenExpiry, accessToken } = tokens;
  if (kind === "id_token" && idTokenExpiry !== undefined) return idTokenExpiry * 1000;
  if (expiresIn) return now + expiresIn * 1000;
  const exp = readClaims(accessToken)?.exp;
  return typeof exp === "number" && exp * 1000 > now ? exp * 1000 : now + DEFAULT_SECONDS * 1000;
}

/** A smaller difference of the clocks changes nothing: an answer has been on its way for some time. */
const SLACK_SECONDS = 10;
/** By issuer, in seconds: a session that joins another one's refresh has seen no answer itself. */
const skews = new Map<string, number>();

/**
 * The time at which new tokens came, by the provider's clock where that is known: a stored end has to be
 * right on other computers, and after this one's clock is set. The session's clock follows, or the new
 * token would count as ended here. The clock of a caller is believed. So is this computer's where the
 * bearer is an ID token, which has an end of its own.
 */
export function providerNow(
  runtime: Runtime,
  kind: "access_token" | "id_token",
  issuer: string,
): number {
  if (runtime.skew !== undefined) skews.set(issuer, runtime.skew);
  if (kind === "access_token" && runtime.now === Date.now) {
    runtime.now = () => {
      const skew = skews.get(issuer) ?? 0;
      return Date.now() + (Math.abs(skew) > SLACK_SECONDS ? skew * 1000 : 0);
    };
  }
  return runtime.now();
}

function isSameScope(granted: string, asked: unknown): boolean {
  if (typeof asked !== "string") return false;
  const [first, second] = [granted, asked].map((scope) => scope.split(" ").sort().join(" "));
  return first === second;
}

/** How long a token in its last minutes is used on while the provider cannot be reached. */
const BRIDGE_MS = 10_000;

/**
 * Whether a token in its last minutes is used on after an error: the provider or the store has a fault,
 * which says nothing about the token. If so, no new one is tried for some seconds.
 */
export function bridges(held: HeldTokens, error: unknown, now: number): boolean {
  const isFault = error instanceof CredentialsBackendError ||
    codeOf(error).code === "provider_unavailable";
  const { bearer } = held;
  if (!isFault || bearer === undefined || now >= bearer.expiresAt) return false;
  held.freshUntil = Math.min(bearer.expiresAt, now + BRIDGE_MS);
  return true;
}

/** What a stored entry is good for in one session. */
export class EntryUse {
  readonly #options: TokenSourceOptions;
  /** The last key, by its public part. */
  readonly #keys = new Map<unknown, Promise<CryptoKeyPair | undefined>>();

  constructor(options: TokenSourceOptions) {
    this.#options = options;
  }

  bearerIn(entry: OidcCredentials): Bearer | undefined {
    return bearerOf(entry, this.#options.bearer);
  }

  /** The bearer of an entry that is for the requested scope, and has the key of its tokens. */
  async servedBy(stored: OidcCredentials | undefined): Promise<Bearer | undefined> {
    const { scope } = this.#options.identity;
    const serves = stored && coversScope(stored, scope) && await this.#hasKey(stored);
    return serves ? this.bearerIn(stored) : undefined;
  }

  /** The entry, where it serves with another bearer than `rejected`. */
  async freshIn(
    stored: OidcCredentials | undefined,
    rejected: string | undefined,
  ): Promise<OidcCredentials | undefined> {
    const bearer = await this.servedBy(stored);
    const isOther = isFresh(bearer, this.#options.runtime.now()) && bearer.token !== rejected;
    return isOther ? stored : undefined;
  }

  /** The reason why an entry cannot be refreshed, if there is one. */
  async noRefreshOf(stored: OidcCredentials | undefined): Promise<string | undefined> {
    const { identity } = this.#options;
    if (stored === undefined) return "no sign-in is stored";
    if (!coversScope(stored, identity.scope)) return OTHER_SCOPE;
    if (!await this.#hasKey(stored)) return NO_KEY;
    if (!stored.refresh_token) return noRefreshToken(identity);
    if (isSpent(stored.refresh_token)) return "the stored refresh token was used already";
    const { subjectOf } = await loadProvider();
    // A refresh could not tell whether the new ID token is of the same person, and would use the token up.
    return subjectOf(stored) === "unknown" ? "the stored ID token cannot be read" : undefined;
  }

  /** Whether an entry has the key of its tokens (DPoP, RFC 9449), or none where they are to be unbound. */
  async #hasKey({ dpop_key }: OidcCredentials): Promise<boolean> {
    return this.#options.identity.dpop ? await this.importKey(dpop_key) !== undefined : !dpop_key;
  }

  /**
   * A stored key for use, or `undefined` without a usable one. It is the same object for the same key,
   * since the nonces of its servers are remembered by it.
   */
  async importKey(jwk: unknown): Promise<CryptoKeyPair | undefined> {
    const x = (jwk as JsonWebKey | null | undefined)?.x;
    // Each new token of a client has a key of its own.
    if (!this.#keys.has(x)) this.#keys.clear();
    return await getOrSet(this.#keys, x, () => importDpopKey(jwk));
  }
}

/** The reason of an entry whose tokens cannot be used for lack of their key. */
export const NO_KEY = "the key of the stored tokens is missing or damaged";

/** The reason of an entry with less scope than this session asks for. */
const OTHER_SCOPE =
  "the stored sign-in is for another scope. To use both at once, give each a profile of its own";

/** The reason of an entry that cannot be refreshed. */
function noRefreshToken({ scope }: OidcIdentity): string {
  return scope.split(" ").includes("offline_access")
    ? "the provider gave no refresh token, although offline_access was asked for. Have it allowed for " +
      "this client. In the browser flow some providers also need the authorization parameter " +
      "prompt=consent"
    : `there is no refresh token (${named("scope")} has no offline_access)`;
}

/**
 * The error where a person has to sign in and is not asked. It names the ways to do so.
 *
 * @param isFound Whether the command line finds the store as well: neither code nor a default names it.
 */
export function loginRequired(
  identity: OidcIdentity,
  backend: OidcCredentialsBackend,
  isFound: boolean,
  reason: string,
  cause?: Error,
): ValidMindAuthError {
  return new ValidMindAuthError("login_required", {
    action: `get a token for ${identity.issuer}`,
    reason,
    remedy: advice(identity, backend, isFound),
    cause,
    signIn: backend.persistent === false ? undefined : signInNames(identity),
  });
}

/** The options that name a sign-in. */
const NAMING = ["issuer", "clientId", "audience", "profile", "flow", "scope", "dpop"] as const;

function signInNames(identity: OidcIdentity): Record<string, string | boolean> {
  const names = NAMING.filter((name) => identity[name] && identity[name] !== DEFAULT_SCOPE);
  return Object.fromEntries(names.map((name) => [name, identity[name]!]));
}

const HERE = "init() in a notebook or a terminal";

/** The ways to sign in to the same store. The command is safe in a folder that somebody else wrote. */
function advice(
  identity: OidcIdentity,
  backend: OidcCredentialsBackend,
  isFound: boolean,
): string {
  if (backend.persistent === false) {
    return `Nothing is stored beyond this process: run ${HERE}.`;
  }
  const names = NAMING.filter((name) => identity[name] && identity[name] !== DEFAULT_SCOPE);
  const flags = names.map((name) => {
    const { flag } = OPTIONS[name];
    const value = identity[name]!;
    return typeof value === "string" ? `--${flag} ${quoteArgument(value)}` : `--${flag}`;
  });
  const command = `deno run -A --no-config${
    isInKv(backend) ? " --unstable-kv" : ""
  } jsr:@validmind/auth/cli login`;
  const way = isFound
    ? `\n  ${command} ${flags.join(" ")}\nor with validmind-auth login and the same flags, or`
    : " the program that made the store:";
  return `Sign in with${way} run ${HERE}.`;
}

/** Whether an error ends the sign-in. A refusal of any other kind may pass. */
export function endsSignIn(error: unknown): boolean {
  if (codeOf(error).code !== "login_required") return false;
  const { cause } = error as Error;
  return !(cause instanceof ValidMindAuthError) || cause.oauthError === "invalid_grant";
}

/** The refusals of the client itself, which no sign-in cures. */
const OF_CLIENT = ["invalid_client", "invalid_dpop_proof", "use_dpop_nonce"];

/** Whether the provider refused a refresh for a reason that a sign-in may cure. */
export function isRefusal(error: unknown): error is ProviderRefusedError {
  if (codeOf(error).code !== "provider_refused") return false;
  const { oauthError = "" } = error as ProviderRefusedError;
  return !OF_CLIENT.includes(oauthError);
}

/** What a refusal of a refresh means. Without a code of OAuth it may be about the client, or of a proxy. */
export function reasonOf({ oauthError, answer }: ProviderRefusedError): string {
  const reason = oauthError === "invalid_grant"
    ? "the provider ended the sign-in"
    : oauthError === undefined
    ? "the provider does not accept the client, or a proxy is in between"
    : "the provider refused to refresh it";
  return `${reason}: it answered ${answer}`;
}

/** The error for an identity whose bearer is the ID token, without a live one. */
export function noIdToken(issuer: string): ValidMindAuthError {
  return new ValidMindAuthError("id_token_missing", {
    action: `get a token for ${issuer}`,
    reason: "the bearer is the ID token, and the provider gave none that is still valid by the " +
      "clock here",
    remedy: `Ask for the scope "openid", check this computer's clock, or set ` +
      `${named("bearer", "access_token")}.`,
  });
}
