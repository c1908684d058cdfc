import * as oauth from "oauth4webapi";
import { printable } from "../../backends/common/printable.ts";
import { redact } from "../../backends/common/redaction.ts";
import { normalizeIssuer } from "../credential_key.ts";
import { isSendable, readClaims, type TokenSet } from "../entry/bearer.ts";
import { named } from "../options/declaration.ts";
import { fileOf, readSecretFile, unusable } from "../options/secret_file.ts";
import { invalidProvider } from "./error.ts";
import type { OidcProvider } from "./oidc_provider.ts";
import { AUDIENCE, ITS_VARIABLES, PROVE, SCOPE } from "./remedy.ts";
import {
  firstTokens,
  newDpopKey,
  type RequestContext,
  type TokenRequest,
} from "./token_request.ts";

/**
 * Requests tokens by the grant of a session that needs no person. A refresh token is dropped: the client
 * can ask again, and the end of the token to exchange ends what comes of it.
 */
export async function requestUnattended(provider: OidcProvider): Promise<TokenSet> {
  let request = exchangeToken;
  if (provider.identity.flow === "client_credentials") request = requestClientTokens;
  return { ...await request(provider), refreshToken: undefined };
}

/**
 * Requests a token for the client itself: RFC 6749, section 4.4. There is no person, and so no ID token;
 * that of a provider that sends one is dropped.
 */
async function requestClientTokens(provider: OidcProvider) {
  return await provider.use("get a token", undefined, async (context) => {
    if (!context.identity.proof) {
      throw unusable(named("flow", "client_credentials"), "the client has no proof", PROVE);
    }
    return await firstTokens(context, await newDpopKey(context), {
      send: senderOf(context, "client_credentials"),
      async process(...answered) {
        const answer = await oauth.processClientCredentialsResponse(...answered);
        const { id_token: _, ...tokens } = answer;
        return tokens;
      },
    });
  });
}

/** Sends the request of a grant with the scope, where there is one. */
function senderOf(
  { identity: { scope }, means }: RequestContext,
  grant: string,
  parameters: Record<string, string> = {},
): TokenRequest["send"] {
  return ({ additionalParameters, ...options }) =>
    oauth.genericTokenEndpointRequest(...means, grant, {
      ...parameters,
      ...(scope !== "" && { scope }),
      ...additionalParameters,
    }, options);
}

const GRANT = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";
const OTHERWISE = "Sign in again where that token comes from, such as at the hub, or set " +
  `${named("flow", "device")} to sign in here.`;
const ALLOW =
  "Check that the token has not ended. Have its exchange allowed for this client, and check " +
  `${AUDIENCE} and ${SCOPE}.`;
/**
 * Exchanges the token in the subject token file for one of this client and audience: RFC 8693. The file
 * is read anew each time, since another program renews it.
 */
async function exchangeToken(provider: OidcProvider) {
  const { issuer, clientId, audience, subjectTokenFile: path } = provider.identity;
  if (path === undefined) {
    const advice = `Give ${named("subjectTokenFile")}. ${ITS_VARIABLES}. ${OTHERWISE}`;
    throw unusable(`the token to exchange at ${issuer}`, "no file is named", advice);
  }
  const forAudience = audience === undefined ? "" : ` and the audience ${audience}`;
  const target = `a token of the client ${clientId}${forAudience}`;
  const token = readToken(path, target, issuer);
  const action = `exchange the token in ${path} for ${target}`;
  return await provider.use(action, undefined, async (context) => {
    return await firstTokens(context, await newDpopKey(context), {
      send: senderOf(context, GRANT, {
        subject_token: token,
        subject_token_type: ACCESS_TOKEN,
        requested_token_type: ACCESS_TOKEN,
      }),
      process: (...answered) => processExchange(context, ...answered),
    });
  }, { ofToken: `${ALLOW} ${OTHERWISE}` });
}

/** Refuses an ID token or a refresh token in the place of an access token: RFC 8693, section 2.2.1. */
async function processExchange(
  { runtime }: RequestContext,
  ...answered: Parameters<TokenRequest["process"]>
) {
  const answer = await oauth.processGenericTokenEndpointResponse(...answered);
  if (answer.issued_token_type === ACCESS_TOKEN) return answer;
  const [{ issuer }] = answered;
  const type = printable(redact(String(answer.issued_token_type ?? "missing"), runtime.secrets));
  const action = `use the token that ${issuer} gave in exchange`;
  const reason = `its issued_token_type is ${type}, and not ${ACCESS_TOKEN}`;
  throw invalidProvider(action, reason, "Have access tokens issued to this client.");
}

/** The one token in the file. A JWT of another issuer is not sent to this one. */
function readToken(path: string, target: string, issuer: string) {
  const subject = `${fileOf("subjectTokenFile", path)} for ${target}`;
  const fail = (reason: string, advice: string, cause?: unknown) =>
    unusable(subject, reason, `${advice} ${OTHERWISE}`, cause);
  const token = readSecretFile("subjectTokenFile", path, fail);
  if (!isSendable(token)) {
    throw fail("it does not hold one token", "Check the program that fills it.");
  }
  const { iss } = readClaims(token) ?? {};
  if (typeof iss !== "string" || normalizeIssuer(iss) === issuer) return token;
  const reason = `the token is of another issuer, ${printable(iss)}`;
  throw fail(reason, `Have the file filled with a token of ${issuer}.`);
}
