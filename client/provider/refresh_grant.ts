import * as oauth from "oauth4webapi";
import type { Json } from "../../backends/common/json.ts";
import { runLater } from "../../backends/common/promises.ts";
import type { TokenSet } from "../entry/bearer.ts";
import { ProviderUnavailableError, ValidMindAuthError } from "../errors.ts";
import type { OidcProvider } from "./oidc_provider.ts";
import {
  assertSigned,
  fetchKeys,
  type RequestContext,
  requestKeys,
  requestTokens,
  type TokenAnswer,
  toTokenSet,
} from "./token_request.ts";

export { openProvider } from "./oidc_provider.ts";

/** Options of {@linkcode refreshTokens}. */
interface RefreshOptions {
  /** The refresh token. Secret. */
  refreshToken: string;
  /** The claims that the API wants, as JSON: Microsoft Entra. */
  claims?: string;
  /** The claims of the last ID token, where there was one. The tokens of another person are refused. */
  former?: Json | undefined;
  /** The key that the tokens are bound to. */
  dpopKey?: CryptoKeyPair;
  /**
   * Stores the refresh token that has replaced the old one, where the other tokens have failed a check, or
   * the keys of the provider are not there to check them.
   */
  keepRotated: (refreshToken: string) => Promise<unknown>;
}

/** Trades a refresh token for new tokens: RFC 6749, section 6. */
export async function refreshTokens(
  provider: OidcProvider,
  options: RefreshOptions,
): Promise<TokenSet> {
  const got: Json = {};
  try {
    return await provider.use(
      "refresh the sign-in",
      undefined,
      (context) => refreshOnce(context, options, got),
    );
  } catch (error) {
    // The old refresh token is spent, so the new one is kept, whatever is wrong with the rest.
    if (typeof got.refresh_token === "string") await options.keepRotated(got.refresh_token);
    throw error;
  }
}

async function refreshOnce(
  context: RequestContext,
  { refreshToken, claims, former, dpopKey, keepRotated }: RefreshOptions,
  got: Json,
) {
  const end = new AbortController();
  // Asked for beside the tokens, which are on the disk sooner then.
  const early = former && fetchKeys({ ...context, signal: end.signal });
  void early?.catch(() => undefined); // asked for again, where they are needed
  try {
    const answered = await requestTokens(context, {
      dpopKey,
      got,
      parameters: { ...claims && { claims } },
      send: (options) => oauth.refreshTokenGrantRequest(...context.means, refreshToken, options),
      process: oauth.processRefreshTokenResponse,
    });
    refuseOtherPerson(context, former, answered, got);
    const { id_token, refresh_token: rotated = refreshToken } = answered.answer;
    if (id_token === undefined) return toTokenSet(answered);

    const keys = early?.catch(() => requestKeys(context)) ?? requestKeys(context);
    if (rotated !== refreshToken && !await isSoonHere(keys)) {
      await keepRotated(rotated).catch(() => undefined); // stored with the rest
    }
    try {
      await keys;
    } catch (error) {
      if (!(error instanceof ProviderUnavailableError)) throw error;
      // Without the keys there is no ID token.
      return toTokenSet({ ...answered, answer: { ...answered.answer, id_token: undefined } });
    }
    await assertSigned(context, answered, keys);
    return toTokenSet(answered);
  } finally {
    end.abort();
  }
}

/** Refuses the tokens of another person, or of another sign-in: OpenID Connect Core, section 12.2. */
function refuseOtherPerson(
  { identity }: RequestContext,
  former: Json | undefined,
  { answer }: TokenAnswer,
  got: Json,
) {
  const claims = oauth.getValidatedIdTokenClaims(answer);
  if (!former || !claims) return;
  const isOtherPerson = claims.sub !== former.sub;
  // A nonce that comes back is the one of the sign-in.
  const hasNonces = claims.nonce !== undefined && former.nonce !== undefined;
  const isOtherSignIn = hasNonces && claims.nonce !== former.nonce;
  if (!isOtherPerson && !isOtherSignIn) return;
  // Not kept: the next answer to another person's refresh token may have no ID token to compare.
  if (isOtherPerson) delete got.refresh_token;
  const owner = isOtherPerson ? "person" : "sign-in (nonce)";
  throw new ValidMindAuthError("id_token_invalid", {
    action: `refresh the sign-in at ${identity.issuer}`,
    reason: `the new ID token is of another ${owner}`,
    remedy: "Sign out and sign in again, then ask the provider's administrator.",
  });
}

/** Time for keys that were asked for together with the tokens, in milliseconds. */
const SOON_MS = 10;

/** Whether an answer is there, or will be before a write would be done. */
async function isSoonHere(answer: Promise<unknown>) {
  const late = Promise.withResolvers<boolean>();
  using _timer = runLater(SOON_MS, () => late.resolve(false));
  return await Promise.race([answer.then(() => true, () => true), late.promise]);
}
