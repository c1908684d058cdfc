import * as oauth from "oauth4webapi";
import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import type { TokenSet } from "../entry/bearer.ts";
import { readClaims } from "../entry/claims.ts";
import { ProviderUnavailableError, ValidMindAuthError } from "../errors.ts";
import type { OidcProvider } from "./oidc_provider.ts";
import { checkTokens, type RequestContext, requestTokens, toTokenSet } from "./token_request.ts";

export { openProvider } from "./oidc_provider.ts";

/** Options of {@linkcode refreshTokens}. */
interface RefreshOptions {
  /** The refresh token. Secret. */
  refreshToken: string;
  /**
   * The person of the last ID token, where there was one. The tokens of another person are refused, and
   * everybody's where the person of the last one is unknown.
   */
  subject?: Subject | "unknown" | undefined;
  /** The key that the tokens are bound to. */
  dpopKey?: CryptoKeyPair | undefined;
}

/** New tokens; or, where they failed a check, the refresh token that replaced the old one. */
export type RefreshAnswer =
  /** `isNew` where they come by another grant, of which nothing is kept. */
  | { tokens: TokenSet; isNew?: true }
  | { tokens?: undefined; refreshToken: string; error: Error };

/**
 * The person of an entry; `undefined` without an ID token, and "unknown" where the ID token does not
 * name one, or cannot be read.
 */
export function subjectOf({ id_token }: OidcCredentials): Subject | "unknown" | undefined {
  if (!id_token) return undefined;
  const { iss, sub, nonce } = (typeof id_token === "string" && readClaims(id_token)) || {};
  return typeof sub === "string" && sub !== "" ? { iss, sub, nonce } : "unknown";
}

/** Trades a refresh token for new tokens: RFC 6749, section 6. */
export async function refreshTokens(
  provider: OidcProvider,
  options: RefreshOptions,
): Promise<RefreshAnswer> {
  const got: Record<string, unknown> = {};
  try {
    const run = (context: RequestContext) => request(context, options, got);
    return { tokens: await provider.use("refresh the sign-in", undefined, run) };
  } catch (error) {
    // The old refresh token is spent, so the new one is kept, whatever is wrong with the rest.
    if (typeof got.refresh_token !== "string") throw error;
    return { refreshToken: got.refresh_token, error: error as Error };
  }
}

async function request(
  context: RequestContext,
  { refreshToken, subject, dpopKey }: RefreshOptions,
  got: Record<string, unknown>,
): Promise<TokenSet> {
  const { identity, server, client, auth } = context;
  const answer = await requestTokens(context, {
    dpopKey,
    got,
    send: (options) => oauth.refreshTokenGrantRequest(server, client, auth, refreshToken, options),
    process: oauth.processRefreshTokenResponse,
  });
  const claims = oauth.getValidatedIdTokenClaims(answer.answer);
  const reason = subject && claims && reasonAgainst(subject, claims);
  if (reason) {
    // Not kept: the next answer to another person's refresh token may have no ID token to compare.
    if (reason === OTHER_PERSON) delete got.refresh_token;
    throw new ValidMindAuthError("id_token_invalid", {
      action: `refresh the sign-in at ${identity.issuer}`,
      reason,
      remedy: "Sign out and sign in again, then ask the provider's administrator.",
    });
  }
  try {
    return await checkTokens(context, answer);
  } catch (error) {
    if (!(error instanceof ProviderUnavailableError)) throw error;
    return toTokenSet({ ...answer.answer, id_token: undefined }); // its key is out of reach
  }
}

/** A person as an ID token names one. `sub` is unique only within one issuer. */
export interface Subject {
  iss?: unknown;
  sub: string;
  nonce?: unknown;
}

const OTHER_PERSON = "the new ID token is of another person";

/**
 * The reason against a new ID token, if there is one: OpenID Connect Core, section 12.2.
 *
 * @param subject The person of the former ID token; `unknown` where that token cannot be read, which
 * must not let anybody's pass.
 */
export function reasonAgainst(subject: Subject | "unknown", claims: Subject): string | undefined {
  if (subject === "unknown") {
    return "the stored ID token cannot be read, so its person is not known";
  }
  // An issuer may change between its forms with and without a trailing slash.
  const [first, second] = [subject, claims].map(({ iss }) => String(iss).replace(/\/$/, ""));
  if (subject.sub !== claims.sub || first !== second) return OTHER_PERSON;
  // A nonce that comes back is the one of the sign-in.
  const isOther = claims.nonce !== undefined && claims.nonce !== subject.nonce;
  return isOther && subject.nonce !== undefined
    ? "the new ID token is of another sign-in (nonce)"
    : undefined;
}
