import * as oauth from "oauth4webapi";
import type { OidcIdentity } from "../options/identity.ts";
import type { Runtime } from "../options/runtime.ts";
import type { Endpoint } from "./answer.ts";
import { providerFetch } from "./fetch.ts";
import type { IdTokenSignatures } from "./id_token.ts";

/** The sender of a request: the client of one identity, and an optional end. */
export interface RequestSender {
  readonly identity: OidcIdentity;
  readonly runtime: Runtime;
  readonly signal?: AbortSignal | undefined;
}

/** The provider and the client, as the requests of every grant need them. */
export interface RequestContext extends RequestSender {
  readonly server: oauth.AuthorizationServer;
  readonly client: oauth.Client;
  readonly auth: oauth.ClientAuth;
  readonly signatures: IdTokenSignatures;
}

/**
 * The options of oauth4webapi for one request.
 *
 * @param capture Gets the normalized answer before oauth4webapi judges it.
 */
export function requestOptions(
  endpoint: Endpoint,
  { identity, runtime, signal }: RequestSender,
  capture?: (answer: Record<string, unknown>) => void,
) {
  const { issuer, clientSecret } = identity;
  const secrets = clientSecret === undefined ? [] : [clientSecret];
  return {
    [oauth.customFetch]: providerFetch(endpoint, runtime, { capture, secrets }),
    // providerFetch itself refuses http: on any host but loopback.
    [oauth.allowInsecureRequests]: issuer.startsWith("http:"),
    ...(signal !== undefined && { signal }),
  };
}

/** The audience as a request parameter. */
export function audienceOf({ audience }: OidcIdentity): Record<string, string> {
  return audience === undefined ? {} : { audience };
}
