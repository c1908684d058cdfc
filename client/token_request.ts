import * as oauth from "oauth4webapi";
import { dpopHandle } from "./dpop_handle.ts";
import { type DpopKey, generateDpopKey } from "./dpop_key.ts";
import { ValidMindAuthError } from "./errors.ts";

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
  const proof = { DPoP: dpopHandle(dpopKey) };
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
  if (offered?.includes("ES256")) return await generateDpopKey();
  throw new ValidMindAuthError(
    "dpop_unsupported",
    `Cannot start the sign-in at ${server.issuer}: tokens are to be bound to a key (dpop), and the ` +
      `provider offers ${offered === undefined ? "no DPoP" : "no DPoP with ES256"}. Have it ` +
      `switched on there, or leave dpop out.`,
  );
}
