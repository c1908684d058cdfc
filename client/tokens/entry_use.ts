import { remember } from "../../backends/common/redaction.ts";
import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import { asksNobody, type Bearer, bearerOf, coversScope, isFresh } from "../entry/bearer.ts";
import { named } from "../options/declaration.ts";
import { importDpopKey } from "../provider/dpop_key.ts";
import { loadProvider } from "./load_provider.ts";
import { getOrSet, type TokenSourceOptions } from "./session_tokens.ts";

/** The reason of an entry whose tokens cannot be used for lack of their key. */
export const NO_KEY = "the key of the stored tokens is missing or damaged";

/** The reason of an entry with less scope than this session asks for. */
const OTHER_SCOPE =
  "the stored sign-in is for another scope. To use both at once, give each a profile of its own";

/** The used refresh tokens of this process. A provider takes a second use for a theft. */
const spent = new Set<string>();

/** Remembers, for this process, that a refresh token is used up. */
export function markSpent(token: string): void {
  remember(spent, [token]);
}

/** The good of a stored entry for one session. */
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
    if (serves) return this.bearerIn(stored);
    return undefined;
  }

  /** The entry, where it serves with a fresh bearer other than `rejected`. */
  async freshIn(
    stored: OidcCredentials | undefined,
    rejected: string | undefined,
  ): Promise<OidcCredentials | undefined> {
    const bearer = await this.servedBy(stored);
    const isOther = isFresh(bearer, this.#options.runtime.now()) && bearer.token !== rejected;
    if (isOther) return stored;
    return undefined;
  }

  /** The entry, where it serves with a bearer other than `rejected` that has not ended. */
  async aliveIn(
    stored: OidcCredentials | undefined,
    rejected: string,
  ): Promise<OidcCredentials | undefined> {
    const bearer = await this.servedBy(stored);
    const isAlive = bearer !== undefined && this.#options.runtime.now() < bearer.expiresAt;
    if (isAlive && bearer.token !== rejected) return stored;
    return undefined;
  }

  /** The reason why new tokens are not to be had without a person, if there is one. */
  async obstacleIn(stored: OidcCredentials | undefined): Promise<string | undefined> {
    if (!asksNobody(this.#options.identity.flow)) return await this.noRefreshOf(stored);
    return undefined;
  }

  /** The reason why an entry cannot be refreshed, if there is one. */
  async noRefreshOf(stored: OidcCredentials | undefined): Promise<string | undefined> {
    const { identity } = this.#options;
    if (stored === undefined) return "no sign-in is stored";
    if (!coversScope(stored, identity.scope)) return OTHER_SCOPE;
    if (!await this.#hasKey(stored)) return NO_KEY;
    if (!stored.refresh_token) return noRefreshToken(identity.scope);
    if (spent.has(stored.refresh_token)) return "the stored refresh token was used already";
    const { subjectOf } = await loadProvider();
    // A refresh could not tell whether the new ID token is of the same person, and would use the token up.
    if (subjectOf(stored) === "unknown") return "the stored ID token cannot be read";
    return undefined;
  }

  /** Whether an entry has the key of its tokens (DPoP, RFC 9449), or none where they are to be unbound. */
  async #hasKey({ dpop_key }: OidcCredentials): Promise<boolean> {
    if (!this.#options.identity.dpop) return !dpop_key;
    return await this.importKey(dpop_key) !== undefined;
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

/** The reason of an entry without a refresh token. */
function noRefreshToken(scope: string): string {
  if (!scope.split(" ").includes("offline_access")) {
    return `there is no refresh token (${named("scope")} has no offline_access)`;
  }
  return "the provider gave no refresh token, although offline_access was asked for. Have it allowed for " +
    "this client. In the browser flow some providers also need the authorization parameter " +
    "prompt=consent";
}
