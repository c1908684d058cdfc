import * as oauth from "oauth4webapi";
import { isSendable, type TokenSet } from "../entry.ts";
import type { DpopKey } from "./dpop_key.ts";
import { keysOfTenant } from "./discovery.ts";
import { ValidMindAuthError } from "../errors.ts";
import { ProviderUnavailableError } from "./error.ts";
import { providerFetch } from "./fetch.ts";
import type { Runtime } from "../options/runtime.ts";

/** A clock that is further off than this is to be put right: certificates fail by it, too. */
const MAX_SKEW_SECONDS = 15 * 60;

/** A processed answer of the token endpoint. */
export interface TokenAnswer {
  response: Response;
  answer: oauth.TokenEndpointResponse;
  /** The provider as the tenant of the answer sees it. */
  tenant: oauth.AuthorizationServer;
}

/**
 * Makes a token request with a proof of the key, if there is one, and once more where the provider
 * asks for a nonce in it: that it does before it looks at the code or the refresh token, which is
 * then still unused (RFC 9449, section 8). Each proof is a new one, so none is taken for a replay.
 */
export async function requestTokens(
  { issuer }: oauth.AuthorizationServer,
  dpopKey: CryptoKeyPair | undefined,
  run: (proof: oauth.DPoPRequestOptions) => Promise<TokenAnswer>,
): Promise<TokenAnswer> {
  if (dpopKey === undefined) return await run({});
  const { dpopHandle } = await import("./dpop_key.ts");
  const proof = { DPoP: dpopHandle(oauth.DPoP, dpopKey) };
  const result = await run(proof).catch((error) => {
    if (!oauth.isDPoPNonceError(error)) throw error;
    return run(proof);
  });
  if (result.answer.token_type === "dpop") return result;
  // A token that anybody can use is not what was asked for: RFC 9449, section 5.
  throw new ValidMindAuthError(
    "dpop_unsupported",
    `Cannot use the tokens of ${issuer}: they are not bound to the key that they were asked for ` +
      `with. Have DPoP switched on for this client, or leave dpop out.`,
  );
}

/** A key, before the person is asked: what cannot be had is told, not left out without a word. */
export async function newDpopKey(server: oauth.AuthorizationServer): Promise<DpopKey> {
  const offered = server.dpop_signing_alg_values_supported;
  if (offered?.includes("ES256")) {
    const { generateDpopKey } = await import("./dpop_key.ts");
    return await generateDpopKey();
  }
  throw new ValidMindAuthError(
    "dpop_unsupported",
    `Cannot start the sign-in at ${server.issuer}: tokens are to be bound to a key (dpop), and the ` +
      `provider offers ${offered === undefined ? "no DPoP" : "no DPoP with ES256"}. Have it ` +
      `switched on there, or leave dpop out.`,
  );
}

/** New tokens; or, where they failed a check, the refresh token that took the old one's place. */
export type RefreshAnswer =
  | { tokens: TokenSet }
  | { tokens?: undefined; refreshToken: string; error: Error };

/**
 * The tokens in a processed answer.
 *
 * @throws {TypeError} Where one of them can be on no request. Does not quote it.
 */
export function toTokenSet(
  answer: Partial<oauth.TokenEndpointResponse>,
  idTokenExpiry?: number,
): TokenSet {
  for (const token of [answer.access_token, answer.id_token]) {
    if (token === undefined || isSendable(token)) continue;
    throw new TypeError("a token has characters in it that no request can carry");
  }
  return {
    accessToken: answer.access_token as string,
    ...(answer.refresh_token !== undefined && { refreshToken: answer.refresh_token }),
    ...(answer.id_token !== undefined && { idToken: answer.id_token }),
    ...(idTokenExpiry !== undefined && { idTokenExpiry }),
    ...(answer.expires_in !== undefined && { expiresIn: answer.expires_in }),
  };
}

/**
 * How the client says who it is: RFC 6749, section 2.3. With a secret by the form where the provider
 * takes that, which leaves no doubt about the encoding; else by the header.
 */
export function clientAuth(
  { token_endpoint_auth_methods_supported: methods }: oauth.AuthorizationServer,
  clientSecret?: string,
): oauth.ClientAuth {
  if (clientSecret === undefined) return oauth.None();
  // A provider that does not say takes the header: OpenID Connect Discovery, section 3.
  return methods?.includes("client_secret_post")
    ? oauth.ClientSecretPost(clientSecret)
    : oauth.ClientSecretBasic(clientSecret);
}

/**
 * How far the provider's clock is ahead of this computer's, in seconds, by the `Date` header of the
 * answer that brought the tokens.
 *
 * The times in an ID token are the provider's. A wide tolerance would let them pass on a clock that
 * is off, and with them a token that has ended; measured by the provider's own clock they are judged
 * to the second on any. The header is as good as the token: both come over the same TLS connection,
 * and who can forge the one can forge the other.
 *
 * @returns 0 where the header says nothing, or more than a clock is likely to be off.
 */
export function clockSkew(date: string | null, now: number = Date.now()): number {
  const seconds = Math.round((Date.parse(date ?? "") - now) / 1000);
  return Math.abs(seconds) <= MAX_SKEW_SECONDS ? seconds : 0;
}

type SignatureOptions = oauth.ValidateSignatureOptions & {
  signal?: AbortSignal;
  [oauth.customFetch]: NonNullable<oauth.ValidateSignatureOptions[typeof oauth.customFetch]>;
};

/** Keys that were asked for ahead of their use. Their request ends with them, used or not. */
export interface RequestedKeys extends Disposable {
  readonly response: Promise<Response>;
}

/** Checks the signatures of ID tokens, with the provider's keys. */
export class IdTokenSignatures {
  readonly #issuer: string;
  readonly #runtime: Runtime;
  #hasKeys = false;

  /** @param issuer The issuer, as configured. */
  constructor(issuer: string, runtime: Runtime) {
    this.#issuer = issuer;
    this.#runtime = runtime;
  }

  /** Asks for the keys ahead of their use, unless oauth4webapi has them from an earlier one. */
  requestKeys(server: oauth.AuthorizationServer): RequestedKeys | undefined {
    if (this.#hasKeys || server.jwks_uri === undefined) return undefined;
    const end = new AbortController();
    const response = providerFetch("jwks", this.#runtime)(server.jwks_uri, {
      headers: { accept: "application/json" },
      redirect: "manual",
      signal: end.signal,
    });
    response.catch(() => undefined); // told, and tried again, where they are used
    return { response, [Symbol.dispose]: () => end.abort() };
  }

  /**
   * Checks the signature of the ID token in a processed answer.
   *
   * @param keys What {@linkcode requestKeys} gave; used at the first of three tries.
   */
  async check(
    server: oauth.AuthorizationServer,
    response: Response,
    request: SignatureOptions,
    keys?: RequestedKeys,
  ): Promise<void> {
    for (let tries = 1;; tries++) {
      const load = tries === 1 && keys !== undefined
        ? () => keys.response
        : request[oauth.customFetch];
      const options: SignatureOptions = {
        ...request,
        [oauth.customFetch]: async (url, init) =>
          await keysOfTenant(server, this.#issuer, await load(url, init)),
      };
      try {
        await oauth.validateApplicationLevelSignature(server, response, options);
        this.#hasKeys = true;
        return;
      } catch (error) {
        if (!(error instanceof ProviderUnavailableError) || tries === 3) throw error;
        await this.#runtime.delay(tries * 500, request.signal);
      }
    }
  }
}
