import type { Runtime } from "../options/resolve_options.ts";
import type { OidcIdentity } from "../options/resolve_identity.ts";
import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";
import { LAST_TIME, readClaims, SKEW_SECONDS, type TokenSet } from "../entry.ts";
import { ValidMindAuthError } from "../errors.ts";
import { importDpopKey } from "../provider/dpop_key.ts";
import type { HeldTokens } from "./source.ts";

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
    // Only where it shortens the skew, so that other rows stay as Python writes them.
    ...(lifetime > 0 && lifetime < SKEW_SECONDS * 10 && { lifetime }),
    ...(identity.audience !== undefined && { audience: identity.audience }),
    ...(previous === undefined && { scope: identity.scope }),
    // Only where it differs, for the same reason.
    ...(typeof granted === "string" && !isSameScope(granted, asked) && { granted_scope: granted }),
    ...(signInEnd !== undefined && { refresh_expires_at: signInEnd }),
    ...(tokens.dpopKey !== undefined && { dpop_key: tokens.dpopKey }),
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
 * token would count as ended here. The clock of a caller is believed, and so is this computer's where the
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
    (error instanceof ValidMindAuthError && error.code === "provider_unavailable");
  const { bearer } = held;
  if (!isFault || bearer === undefined || now >= bearer.expiresAt) return false;
  held.freshUntil = Math.min(bearer.expiresAt, now + BRIDGE_MS);
  return true;
}

/** The key that the tokens of one identity are bound to, where they are bound (DPoP, RFC 9449). */
export class BoundKey {
  readonly #isBound: boolean;
  #imported: { x: unknown; pair: Promise<CryptoKeyPair | undefined> } | undefined;

  constructor(isBound: boolean) {
    this.#isBound = isBound;
  }

  /** Whether an entry has the key of its tokens, or none where the tokens are to be unbound. */
  async isIn({ dpop_key }: OidcCredentials): Promise<boolean> {
    return this.#isBound ? await this.import(dpop_key) !== undefined : !dpop_key;
  }

  /**
   * A stored key for use, or `undefined` without a usable one. It is the same object for the same key,
   * since the nonces of its servers are remembered by it.
   */
  async import(jwk: unknown): Promise<CryptoKeyPair | undefined> {
    if (!this.#isBound) return undefined;
    const x = (jwk as JsonWebKey | null | undefined)?.x;
    if (this.#imported === undefined || this.#imported.x !== x) {
      this.#imported = { x, pair: importDpopKey(jwk) };
    }
    return await this.#imported.pair;
  }
}
