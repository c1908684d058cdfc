import * as oauth from "oauth4webapi";
import { option, words } from "../../backends/credentials_backend_error.ts";
import type { TokenSet } from "../entry.ts";
import { ValidMindAuthError } from "../errors.ts";
import { importDpopKey } from "./dpop_key.ts";
import { PROVE, type RefusalAdvice, SCOPE } from "./error.ts";
import type { OidcProvider } from "./oidc_provider.ts";
import { newDpopKey, requestTokens, toTokenSet } from "./token_request.ts";

const BY_CLIENT = option("flow", { value: "client_credentials" });
const ENABLE =
  "Enable the client credentials grant for this client, which has to be a confidential " +
  "one.";

/** The advice for the refusals of this grant, which no person can answer. */
const ADVICE: RefusalAdvice = {
  proofErrors: ["invalid_grant", "invalid_request"],
  byCode: {
    unauthorized_client: ENABLE,
    invalid_request: ENABLE, // so answers oidc-provider
    unsupported_grant_type: ENABLE,
    access_denied: "Have the client allowed to use this API at the provider.",
    invalid_scope:
      words`Check ${SCOPE}: ask for what the client may have (at Entra <the API's id>/.default).`,
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
    const fresh = kept === undefined ? await newDpopKey(context) : undefined;
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
    const boundTo = identity.dpop ? fresh?.jwk ?? dpopKey as JsonWebKey : undefined;
    return { accessToken, expiresIn, scope, dpopKey: boundTo };
  }, ADVICE);
}

function noProof(issuer: string): ValidMindAuthError {
  return new ValidMindAuthError(
    "client_auth_unusable",
    words`Cannot get a token at ${issuer} by ${BY_CLIENT}: the client has no proof. ${PROVE}`,
  );
}
