import * as oauth from "oauth4webapi";
import { isNotCapable } from "../../backends/common/platform.ts";
import { printable } from "../../backends/common/printable.ts";
import { readPrivateFile } from "../../backends/common/read_private_file.ts";
import { option, words } from "../../backends/credentials_backend_error.ts";
import { isSendable, normalizeIssuer, readClaims, type TokenSet } from "../entry.ts";
import { ValidMindAuthError } from "../errors.ts";
import { named } from "../options/declaration.ts";
import { PROVE, type RefusalAdvice, SCOPE } from "./error.ts";
import type { OidcProvider } from "./oidc_provider.ts";
import { firstTokens, newDpopKey, type TokenRequest } from "./token_request.ts";

const GRANT = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";
const FILE = named("subjectTokenFile");
const AUDIENCE = named("audience");
const OTHERWISE = words`Sign in again where that token comes from, such as at the hub, or set ${
  option("flow", { value: "device", variable: "VM_OIDC_FLOW" })
} to sign in here.`;
/** The errors of RFC 8693, RFC 8707, and providers, for a token or an exchange that they refuse. */
const REFUSALS = [
  ...["invalid_request", "invalid_grant", "invalid_token", "invalid_target", "invalid_scope"],
  ...["access_denied", "unauthorized_client", "unsupported_grant_type"],
];

/**
 * Exchanges the token in the subject token file for one of this client and audience: RFC 8693. The file
 * is read anew each time, since another program renews it.
 */
export async function exchangeToken(provider: OidcProvider): Promise<TokenSet> {
  const { issuer, clientId, audience, subjectTokenFile: path, scope } = provider.identity;
  if (!path) {
    throw new ValidMindAuthError(
      "client_auth_unusable",
      words`Cannot exchange a token at ${issuer}: no file is named. Give ${FILE}; the variable counts
        only where VM_OIDC_ISSUER and VM_OIDC_CLIENT_ID name this client. ${OTHERWISE}`,
    );
  }
  const forAudience = audience === undefined ? "" : ` and the audience ${audience}`;
  const action = `exchange the token in ${path} for one of the client ${clientId}${forAudience}`;
  const token = readToken(path, action, issuer);
  return await provider.use(action, undefined, async (context) => {
    const { server, client, auth } = context;
    return await firstTokens(context, await newDpopKey(context), {
      send: ({ additionalParameters, ...options }) =>
        oauth.genericTokenEndpointRequest(server, client, auth, GRANT, {
          subject_token: token,
          subject_token_type: ACCESS_TOKEN,
          requested_token_type: ACCESS_TOKEN,
          ...(scope !== "" && { scope }),
          ...additionalParameters as Record<string, string>,
        }, options),
      process: processExchange,
    });
  }, adviceFor(token));
}

/** Refuses an ID token or a refresh token in the place of an access token: RFC 8693, section 2.2.1. */
const processExchange: TokenRequest["process"] = async (server, client, response) => {
  const answer = await oauth.processGenericTokenEndpointResponse(server, client, response);
  if (answer.issued_token_type === ACCESS_TOKEN) return answer;
  const type = printable(String(answer.issued_token_type), 80);
  throw new ValidMindAuthError(
    "provider_invalid",
    words`Cannot use the token that ${server.issuer} gave in exchange: its issued_token_type is ${type},
      and not ${ACCESS_TOKEN}. Have the provider issue access tokens to this client.`,
  );
};

/** The one token in the file. A JWT of another issuer is not sent to this one. */
function readToken(path: string, action: string, issuer: string): string {
  const fail = (reason: string, advice: string, cause?: unknown) =>
    new ValidMindAuthError(
      isNotCapable(cause) ? "permission_required" : "client_auth_unusable",
      words`Cannot ${action}: ${reason} (${FILE}). ${advice} ${OTHERWISE}`,
    );
  // A group may read it, as for a client's assertion: platforms project files so.
  const how = { what: "a token", maxBytes: 64 * 1024, forbiddenMode: 0o027, fail };
  const token = readPrivateFile(path, how).trim();
  if (!isSendable(token)) {
    throw fail("the file holds no single token", "Check the program that fills it.");
  }
  const { iss } = readClaims(token) ?? {};
  if (typeof iss !== "string" || normalizeIssuer(iss) === issuer) return token;
  const reason = `the token is of another issuer, ${printable(iss)}`;
  throw fail(reason, `Have the file filled with one of ${issuer}.`);
}

/** The advice for refusals, by the unchecked claims of the token where it is a JWT. */
function adviceFor(token: string): RefusalAdvice {
  const { exp, azp } = readClaims(token) ?? {};
  const isEnded = typeof exp === "number" && exp * 1000 < Date.now();
  const owner = typeof azp === "string" ? ` of ${printable(azp, 80)}` : "";
  const cause = isEnded
    ? "That token has ended."
    : words`Have the exchange of tokens${owner} allowed for this client, and check ${AUDIENCE} and
      ${SCOPE}.`;
  const cure = words`${cause} ${OTHERWISE}`;
  return {
    byCode: {
      ...Object.fromEntries(REFUSALS.map((code) => [code, cure])),
      invalid_client:
        words`Check ${AUDIENCE}. The client may have to prove itself. ${PROVE} ${OTHERWISE}`,
    },
  };
}
