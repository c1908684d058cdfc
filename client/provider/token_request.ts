import * as oauth from "oauth4webapi";
import { isObject, type Json } from "../../backends/common/json.ts";
import { printable } from "../../backends/common/printable.ts";
import { remember } from "../../backends/common/redaction.ts";
import { repeat } from "../../backends/common/repeat.ts";
import { type AnswerTime, isSendable, readClaims, type TokenSet } from "../entry/bearer.ts";
import { ProviderUnavailableError, ValidMindAuthError } from "../errors.ts";
import type { OidcIdentity } from "../options/resolve_identity.ts";
import type { Runtime } from "../options/resolve_options.ts";
import { checkEndpoint, findRevocationEndpoint } from "./discovery.ts";
import { dpopHandle, type DpopKey, generateDpopKey } from "./dpop_key.ts";
import { invalidProvider } from "./error.ts";
import { DISCOVERY, type Endpoint, JWKS, REVOCATION, TOKEN } from "./endpoint.ts";
import { providerFetch, providerSkew } from "./fetch.ts";
import {
  assertIdToken,
  isSignedByOne,
  judgedSkew,
  noSigner,
  signatureAlgorithm,
} from "./id_token.ts";
import { DPOP } from "./remedy.ts";

/** The provider and the client, as the requests of every grant need them. */
export interface RequestContext {
  readonly identity: OidcIdentity;
  readonly runtime: Runtime;
  readonly signal: AbortSignal | undefined;
  readonly server: oauth.AuthorizationServer;
  readonly client: oauth.Client;
  /** The provider, the client and its proof, as each request of oauth4webapi takes them. */
  readonly means: readonly [oauth.AuthorizationServer, oauth.Client, oauth.ClientAuth];
}

/** The options of oauth4webapi for one request. */
export function requestOptions(
  endpoint: Endpoint,
  { identity, runtime, signal }: Pick<RequestContext, "identity" | "runtime" | "signal">,
) {
  return {
    [oauth.customFetch]: providerFetch(endpoint, runtime),
    // providerFetch itself refuses http: on any host but loopback.
    [oauth.allowInsecureRequests]: /^http:/i.test(identity.issuer),
    signal,
  };
}

/** The audience as a request parameter. */
export function audienceOf({ audience }: OidcIdentity): Record<string, string> {
  return audience === undefined ? {} : { audience };
}

/** One request of a grant to the token endpoint. */
export interface TokenRequest {
  /** Parameters that oauth4webapi does not add itself. */
  parameters?: Record<string, string>;
  /** The key to bind the tokens to. */
  dpopKey?: CryptoKeyPair;
  /** Gets the fields of the normalized answer, before oauth4webapi judges it. */
  got: Json;
  send(options: oauth.TokenEndpointRequestOptions): Promise<Response>;
  process(
    server: oauth.AuthorizationServer,
    client: oauth.Client,
    response: Response,
  ): Promise<oauth.TokenEndpointResponse>;
}

/** A processed answer of the token endpoint. */
export interface TokenAnswer {
  response: Response;
  answer: oauth.TokenEndpointResponse;
  time: AnswerTime;
}

/**
 * Makes a token request, with a proof of the key where there is one. It is made once more where the
 * provider asks for a nonce in the proof: RFC 9449, section 8. The provider does so before it looks at a
 * code or a token, which is still unused then.
 */
export async function requestTokens(
  context: RequestContext,
  request: TokenRequest,
): Promise<TokenAnswer> {
  const send = () => requestOnce(context, request);
  const result = await send().catch((error) => {
    if (!oauth.isDPoPNonceError(error)) throw error;
    return send();
  });
  const isBound = result.answer.token_type === "dpop";
  if (isBound === (request.dpopKey !== undefined)) return result;
  // Bound tokens would go out as bearer tokens, and unbound ones can be used by anybody: RFC 9449, section 5.
  const action = `use the tokens of ${context.server.issuer}`;
  if (isBound) {
    throw invalidProvider(action, "they are bound to a key (DPoP)", `Set ${DPOP}.`);
  }
  throw withoutDpop(action, "they are not bound to a key");
}

async function requestOnce(
  context: RequestContext,
  { send, process, parameters, dpopKey, got }: TokenRequest,
) {
  const { identity, server, client, runtime } = context;
  const [sentAt, sent] = [runtime.now(), Date.now()];
  const response = await send({
    ...requestOptions(TOKEN, context),
    ...(dpopKey && { DPoP: dpopHandle(oauth, dpopKey, runtime.skew) }),
    additionalParameters: { ...audienceOf(identity), ...parameters },
  });
  Object.assign(got, await response.clone().json());
  const idToken = String(got.id_token);
  const stated = providerSkew(response.headers.get("date"), readClaims(idToken)?.iat);
  runtime.skew = stated ?? runtime.skew;
  // A stop after the request makes the clock here look late, and never the tokens fresher.
  const tookSeconds = Math.round((Date.now() - sent) / 1000);
  const time = { sentAt, sent, skew: stated === undefined ? undefined : stated + tookSeconds };
  const skew = judgedSkew(stated);
  const alg = readClaims(idToken, 0)?.alg;
  const judged = {
    ...client,
    [oauth.clockSkew]: skew,
    // Not the algorithms that discovery states: Spring states RS256 for clients with ES256, too.
    ...(signatureAlgorithm(alg) && { id_token_signed_response_alg: String(alg) }),
  };
  const answer = await process(server, judged, response);
  await assertIdToken(answer, client.client_id, Math.floor(Date.now() / 1000) + skew);
  return { response, answer, time };
}

/**
 * Checks the signature of an ID token, where one has come.
 *
 * @param coming At a refresh, the provider's keys. One that is newer than these may have signed.
 */
export async function assertSigned(
  context: RequestContext,
  { response, answer: { id_token } }: TokenAnswer,
  coming?: Promise<Json[]>,
) {
  if (id_token === undefined) return;
  const isSigned = async (keys: Promise<Json[]>) =>
    await isSignedByOne(context.server, response, id_token, await keys);
  if (coming && await isSigned(coming) || await isSigned(requestKeys(context))) return;
  throw noSigner();
}

/** The provider's keys, as they are now: they are replaced and withdrawn. */
export async function fetchKeys(context: RequestContext): Promise<Json[]> {
  const { identity, server: { jwks_uri = "" }, signal, runtime } = context;
  checkEndpoint("jwks_uri", jwks_uri, identity.issuer);
  const response = await providerFetch(JWKS, runtime)(jwks_uri, { signal });
  const { keys } = await response.json();
  return Array.isArray(keys) ? keys.filter(isObject) : [];
}

/** The same, with further tries: the tokens are there, and wait for their check. */
export async function requestKeys(context: RequestContext): Promise<Json[]> {
  const { runtime: { elapsed: now, delay }, signal } = context;
  let fault: Error;
  const pauses = { pauseMs: 500, signal, timer: { now, delay } };
  return await repeat({ ...pauses, tries: 3, over: () => fault }, async () => {
    try {
      return await fetchKeys(context);
    } catch (error) {
      if (!(error instanceof ProviderUnavailableError)) throw error;
      fault = error;
      return undefined;
    }
  });
}

/**
 * Trades an approval for the first tokens, once: it is spent by the answer.
 *
 * @param dpopKey The key to bind the tokens to.
 */
export async function firstTokens(
  context: RequestContext,
  dpopKey: DpopKey | undefined,
  request: Pick<TokenRequest, "parameters" | "send" | "process">,
): Promise<TokenSet> {
  const answered = await requestTokens(context, { ...request, got: {}, dpopKey: dpopKey?.pair });
  try {
    await assertSigned(context, answered);
  } catch (error) {
    // Keys that cannot be had are a final error here: there is nothing left to try again with.
    if (!(error instanceof ProviderUnavailableError)) throw error;
    throw new ValidMindAuthError("provider_unavailable", error);
  }
  return { ...toTokenSet(answered), dpopKey: dpopKey?.jwk };
}

/**
 * Revokes a token: RFC 7009.
 *
 * @returns `false` where the provider has no revocation endpoint.
 */
export async function revokeToken(
  context: RequestContext,
  token: string,
  hint: "refresh_token" | "access_token",
) {
  const { server, means: [, ...proof], runtime, signal } = context;
  const fetch = providerFetch(DISCOVERY, runtime);
  const revocation_endpoint = await findRevocationEndpoint(server, (url) => fetch(url, { signal }));
  if (revocation_endpoint === undefined) return false;
  const found = { ...server, revocation_endpoint };
  const response = await oauth.revocationRequest(found, ...proof, token, {
    ...requestOptions(REVOCATION, context),
    additionalParameters: { token_type_hint: hint },
  });
  await oauth.processRevocationResponse(response);
  return true;
}

/**
 * The tokens in a processed answer.
 *
 * @throws {TypeError} Where no request can carry one of them. The message does not quote it.
 */
export function toTokenSet({ answer, time }: TokenAnswer): TokenSet {
  const { access_token, refresh_token, id_token, scope } = answer;
  const bearers = [access_token, id_token ?? []].flat();
  if (!bearers.every(isSendable)) {
    throw new TypeError("a token has characters that no request can carry");
  }
  // The granted scope is shown.
  const isEcho = [access_token, refresh_token, id_token].some((one) => one && scope?.includes(one));
  return {
    accessToken: access_token,
    refreshToken: refresh_token,
    idToken: id_token,
    expiresIn: answer.expires_in,
    scope: isEcho ? undefined : scope && printable(scope, 2000),
    time,
  };
}

/**
 * A new key to bind tokens to, where they are to be bound, made before a person is asked.
 *
 * @throws {ValidMindAuthError} `dpop_unsupported` where the provider does not offer DPoP.
 */
export async function newDpopKey(
  { identity, server, runtime }: RequestContext,
): Promise<DpopKey | undefined> {
  if (!identity.dpop) return undefined;
  if (server.dpop_signing_alg_values_supported?.includes("ES256")) {
    const key = await generateDpopKey();
    remember(runtime.secrets, [key.jwk.d]);
    return key;
  }
  const action = `start the sign-in at ${server.issuer}`;
  throw withoutDpop(action, "the provider offers no DPoP with ES256");
}

function withoutDpop(action: string, reason: string) {
  const remedy = `Have DPoP switched on, or leave out ${DPOP}.`;
  return new ValidMindAuthError("dpop_unsupported", { action, reason, remedy });
}
