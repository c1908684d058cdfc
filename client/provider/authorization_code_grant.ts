import * as oauth from "oauth4webapi";
import { given } from "../../backends/common/json.ts";
import { remember } from "../../backends/common/redaction.ts";
import type { TokenSet } from "../entry/bearer.ts";
import { assertCanSignIn, checkEndpoint } from "./discovery.ts";
import { dpopHandle, type DpopKey } from "./dpop_key.ts";
import { refusalError } from "./error.ts";
import { type Endpoint, normalizeGrant } from "./endpoint.ts";
import type { OidcProvider } from "./oidc_provider.ts";
import { readRefusal } from "./refusal.ts";
import {
  audienceOf,
  firstTokens,
  newDpopKey,
  type RequestContext,
  requestOptions,
} from "./token_request.ts";

/** The endpoint of pushed authorization requests: RFC 9126. oauth4webapi demands a lifetime. */
const PUSHED: Endpoint = {
  name: "pushed authorization request",
  at: "par",
  normalize: normalizeGrant((body) => ({ ...body, expires_in: 60 }), 201),
};

/** A request for the person's approval, as the caller words it. */
interface AuthorizationOptions {
  /** The address that the answer comes to. */
  redirectUri: string;
  /** The person, for the provider's sign-in page. */
  loginHint?: string;
  /** Further parameters. Their names are checked. */
  parameters?: Readonly<Record<string, string>>;
}

/** A request that waits for its answer. `state`, `nonce`, `verifier` and `dpopKey` are secrets. */
export interface Authorization {
  /** The page for the person. */
  url: string;
  redirectUri: string;
  /** The `iss` of the answer, where the provider promises one: RFC 9207. */
  iss?: string;
  state: string;
  /** Sent with the scope `openid`, whose ID token must bring it back. */
  nonce?: string;
  /** The PKCE verifier. */
  verifier: string;
  /** The key that the tokens will be bound to. */
  dpopKey?: DpopKey;
}

/** Prepares the page on which the person approves: RFC 6749, section 4.1.1, with PKCE (RFC 7636). */
export async function startAuthorization(
  provider: OidcProvider,
  options: AuthorizationOptions,
  signal?: AbortSignal,
): Promise<Authorization> {
  return await provider.use("start the sign-in", signal, async (context) => {
    const { identity, server, client } = context;
    const { authorization_endpoint } = server;
    checkEndpoint("authorization_endpoint", authorization_endpoint, identity.issuer);
    assertCanSignIn(server, identity);
    const dpopKey = await newDpopKey(context);
    const { redirectUri } = options;
    const secrets = {
      state: oauth.generateRandomState(),
      verifier: oauth.generateRandomCodeVerifier(),
      nonce: identity.scope.split(" ").includes("openid") ? oauth.generateRandomNonce() : undefined,
      dpopKey,
    };
    let query: Record<string, string> = await queryOf(context, options, secrets);
    if (server.require_pushed_authorization_requests === true) {
      const { request_uri } = await push(context, query);
      query = { client_id: client.client_id, request_uri };
    }
    const endpoint = new URL(authorization_endpoint!);
    for (const [name, value] of Object.entries(query)) endpoint.searchParams.set(name, value);
    const hasIss = server.authorization_response_iss_parameter_supported;
    const iss = hasIss ? server.issuer : undefined;
    return { url: endpoint.href, redirectUri, iss, ...secrets };
  });
}

/**
 * Trades the answer for tokens, once: a second use of its code would end the grant.
 *
 * @param answer The parameters that came to the redirect URI, with the right `state` in them.
 */
export async function redeemAuthorization(
  provider: OidcProvider,
  { redirectUri, state, nonce, verifier, dpopKey }: Authorization,
  answer: URLSearchParams,
  signal?: AbortSignal,
): Promise<TokenSet> {
  return await provider.use("sign in", signal, async (context) => {
    // Its other parameters are words, such as Google's prompt=consent, and have to stay in messages.
    remember(context.runtime.secrets, [state, answer.get("code")]);
    const code = validate(context, answer, state);
    return await firstTokens(context, dpopKey, {
      send: (options) =>
        oauth.authorizationCodeGrantRequest(
          ...context.means,
          code,
          redirectUri,
          verifier,
          options,
        ),
      process: (server, client, response) =>
        oauth.processAuthorizationCodeResponse(server, client, response, {
          expectedNonce: nonce ?? oauth.expectNoNonce,
        }),
    });
  });
}

/** The parameters with the code. An error is told as it is, also without `iss`, as at Authlib: it brings no code. */
function validate(
  { identity: { scope }, server, client, runtime }: RequestContext,
  answer: URLSearchParams,
  state: string,
) {
  const isOwn = (answer.get("iss") ?? server.issuer) === server.issuer;
  if (!answer.get("error") || !isOwn) {
    return oauth.validateAuthResponse(server, client, answer, state);
  }
  const json = Object.fromEntries(answer);
  const refusal = readRefusal({ at: "page", status: 400, text: "", json }, runtime.secrets);
  throw refusalError("sign in", server.issuer, refusal, { scope });
}

async function queryOf(
  { identity, client }: RequestContext,
  { redirectUri, loginHint, parameters }: AuthorizationOptions,
  { state, nonce, verifier, dpopKey }: Omit<Authorization, "url" | "redirectUri" | "iss">,
) {
  return {
    ...parameters,
    client_id: client.client_id,
    response_type: "code",
    redirect_uri: redirectUri,
    scope: identity.scope,
    ...audienceOf(identity),
    ...given({
      login_hint: loginHint,
      nonce,
      dpop_jkt: dpopKey && await dpopHandle(oauth, dpopKey.pair).calculateThumbprint(),
    }),
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  };
}

/**
 * Sends the request ahead of the person: RFC 9126, section 2. It needs no proof of a key: `dpop_jkt` binds
 * the code (RFC 9449, section 10.1).
 */
async function push(context: RequestContext, query: Record<string, string>) {
  const { server, client, means } = context;
  const options = requestOptions(PUSHED, context);
  const response = await oauth.pushedAuthorizationRequest(...means, query, options);
  return await oauth.processPushedAuthorizationResponse(server, client, response);
}

/** The reason why this flow is not to be had at a provider, or not safe there. */
export async function authorizationObstacle(
  provider: OidcProvider,
  signal?: AbortSignal,
): Promise<string | undefined> {
  // deno-lint-ignore require-await -- as every run of a provider
  return await provider.use("start the sign-in", signal, async ({ server }) => {
    const { authorization_endpoint, response_types_supported: types = ["code"] } = server;
    // Many providers know PKCE and do not list it. A list without S256 means that it is not known.
    const { code_challenge_methods_supported: methods = ["S256"] } = server;
    if (authorization_endpoint === undefined || !types.includes("code")) {
      return "the provider offers no sign-in with a code in the browser";
    }
    if (methods.includes("S256")) return undefined;
    return "the provider does not support PKCE with S256, which protects the code";
  });
}
