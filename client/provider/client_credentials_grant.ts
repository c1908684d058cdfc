import * as oauth from "oauth4webapi";
import type { TokenSet } from "../entry.ts";
import { ValidMindAuthError } from "../errors.ts";
import { importDpopKey } from "./dpop_key.ts";
import type { OidcProvider } from "./oidc_provider.ts";
import { newDpopKey, requestTokens, toTokenSet } from "./token_request.ts";

const ENABLE =
  "Enable the client credentials grant for this client, which has to be a confidential " +
  "one.";

/** The words for the refusals of this grant, which no person can answer. */
const WORDS = {
  reason: "the provider refused the client: it answered",
  proofErrors: ["invalid_grant", "invalid_request"],
  advice: {
    unauthorized_client: ENABLE,
    invalid_request: ENABLE, // so answers oidc-provider
    unsupported_grant_type: ENABLE,
    access_denied: "Have the client allowed to use this API at the provider.",
    invalid_scope: "Check scope (VM_OIDC_SCOPE): ask only for what the client itself may have. " +
      "Microsoft Entra wants <the API's id>/.default.",
  },
};

/**
 * Requests a token for the client itself: RFC 6749, section 4.4. There is no person, and so no ID token
 * and no refresh token; those of a provider that sends them are dropped.
 *
 * @param dpopKey The key of the former token, as it is stored, which the new one is bound to as well.
 */
export async function requestClientTokens(
  provider: OidcProvider,
  dpopKey?: unknown,
): Promise<TokenSet> {
  return await provider.use("get a token", undefined, async (context) => {
    const { identity, server, client, auth } = context;
    if (provider.isPublicClient) throw noProof(identity.issuer);
    const kept = identity.dpop ? await importDpopKey(dpopKey) : undefined;
    const fresh = identity.dpop && kept === undefined ? await newDpopKey(server) : undefined;
    const { answer } = await requestTokens(context, {
      dpopKey: kept ?? fresh?.pair,
      send: ({ additionalParameters, ...options }) =>
        oauth.clientCredentialsGrantRequest(server, client, auth, {
          ...(identity.scope !== "" && { scope: identity.scope }),
          ...additionalParameters as Record<string, string>,
        }, options),
      process: oauth.processClientCredentialsResponse,
    });
    const { accessToken, expiresIn, scope } = toTokenSet({ ...answer, id_token: undefined });
    return {
      accessToken,
      ...(expiresIn !== undefined && { expiresIn }),
      ...(scope !== undefined && { scope }),
      ...(identity.dpop && { dpopKey: fresh?.jwk ?? dpopKey as JsonWebKey }),
    };
  }, WORDS);
}

function noProof(issuer: string): ValidMindAuthError {
  return new ValidMindAuthError(
    "client_auth_unusable",
    `Cannot get a token at ${issuer}: the client has to prove who it is (flow: "client_credentials"). ` +
      `Give clientSecret, clientKeyFile or clientAssertionFile, or set VM_OIDC_CLIENT_SECRET, ` +
      `VM_OIDC_CLIENT_KEY_FILE or VM_OIDC_CLIENT_ASSERTION_FILE beside VM_OIDC_ISSUER and ` +
      `VM_OIDC_CLIENT_ID.`,
  );
}
