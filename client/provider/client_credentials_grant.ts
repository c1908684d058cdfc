import * as oauth from "oauth4webapi";
import { option, words } from "../../backends/credentials_backend_error.ts";
import type { TokenSet } from "../entry.ts";
import { ValidMindAuthError } from "../errors.ts";
import { PROVE, type RefusalAdvice, SCOPE } from "./error.ts";
import type { OidcProvider } from "./oidc_provider.ts";
import { firstTokens, newDpopKey } from "./token_request.ts";

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
 */
export async function requestClientTokens(provider: OidcProvider): Promise<TokenSet> {
  return await provider.use("get a token", undefined, async (context) => {
    const { identity, server, client, auth } = context;
    if (provider.isPublicClient) throw noProof(identity.issuer);
    return await firstTokens(context, await newDpopKey(context), {
      send: ({ additionalParameters, ...options }) =>
        oauth.clientCredentialsGrantRequest(server, client, auth, {
          ...(identity.scope !== "" && { scope: identity.scope }),
          ...additionalParameters as Record<string, string>,
        }, options),
      async process(...answered) {
        const answer = await oauth.processClientCredentialsResponse(...answered);
        const { id_token: _, refresh_token: _1, ...tokens } = answer;
        return tokens;
      },
    });
  }, ADVICE);
}

function noProof(issuer: string): ValidMindAuthError {
  return new ValidMindAuthError(
    "client_auth_unusable",
    words`Cannot get a token at ${issuer} by ${BY_CLIENT}: the client has no proof. ${PROVE}`,
  );
}
