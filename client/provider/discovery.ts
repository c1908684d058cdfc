import * as oauth from "oauth4webapi";
import { isLoopback, netHost } from "../../backends/common/host.ts";
import { ValidMindAuthError } from "../errors.ts";
import type { OidcIdentity } from "../options/resolve_identity.ts";
import { permissionCheck } from "../permissions/permission_check.ts";
import { net } from "../permissions/start_needs.ts";
import { invalidProvider } from "./error.ts";

/** The endpoints of all grants, by their names in a discovery document. */
const ENDPOINTS = [
  "device_authorization_endpoint",
  "pushed_authorization_request_endpoint",
  "token_endpoint",
  "jwks_uri",
] as const;

/**
 * Requests the provider's discovery document and checks its issuer: OpenID Connect Discovery,
 * section 4.
 */
export async function discoverProvider(
  issuer: string,
  options: oauth.DiscoveryRequestOptions,
): Promise<oauth.AuthorizationServer> {
  const url = new URL(issuer);
  let response = await oauth.discoveryRequest(url, options);
  const isThere = response.status !== 404;
  if (!isThere) response = await oauth.discoveryRequest(url, { ...options, algorithm: "oauth2" });
  if (response.status === 404) {
    throw new ValidMindAuthError("provider_invalid", {
      action: `find an OpenID Provider at ${issuer}`,
      reason: "it has neither /.well-known/openid-configuration nor " +
        "/.well-known/oauth-authorization-server",
      remedy: "Check the issuer and its path.",
      kind: "fault",
    });
  }
  const expected = isThere ? await statedIssuer(url, response) : url;
  const server = await oauth.processDiscoveryResponse(expected, response);
  for (const name of ENDPOINTS) {
    if (server[name] !== undefined) checkEndpoint(name, server[name], issuer);
  }
  return server;
}

/**
 * The issuer as its own document states it. A trailing slash makes no other one, and tokens name it as the
 * document does. At the place of RFC 8414, whoever has the host's root answers for all its paths, and has
 * to name one exactly.
 */
async function statedIssuer(issuer: URL, response: Response) {
  const { issuer: stated } = await response.clone().json();
  if (withoutSlash(String(stated)) !== withoutSlash(issuer.href)) return issuer;
  return new URL(stated);
}

/**
 * The endpoint for revocation. django-oauth-toolkit names it only in a document of RFC 8414 below the
 * issuer. `undefined` where there is none.
 *
 * @param get Requests a document.
 */
export async function findRevocationEndpoint(
  { issuer, revocation_endpoint }: oauth.AuthorizationServer,
  get: (url: string) => Promise<Response>,
): Promise<string | undefined> {
  if (revocation_endpoint !== undefined) return revocation_endpoint;
  try {
    const response = await get(`${withoutSlash(issuer)}/.well-known/oauth-authorization-server`);
    const found = await oauth.processDiscoveryResponse(new URL(issuer), response);
    checkEndpoint("revocation_endpoint", found.revocation_endpoint, issuer);
    return found.revocation_endpoint;
  } catch {
    return undefined; // it has no document, or none of this issuer with this endpoint
  }
}

/**
 * Refuses a provider that lacks an address which the end of a sign-in needs, before a person is asked:
 * OpenID Connect Discovery, section 3.
 */
export function assertCanSignIn(
  server: oauth.AuthorizationServer,
  { issuer, scope }: OidcIdentity,
) {
  checkEndpoint("token_endpoint", server.token_endpoint, issuer);
  if (scope.split(" ").includes("openid")) checkEndpoint("jwks_uri", server.jwks_uri, issuer);
}

/**
 * Checks the permissions for all endpoints before a person is asked, since without them the tokens of
 * an approval could not be fetched.
 */
export async function preflightEndpoints(server: oauth.AuthorizationServer) {
  const reason = "to use the provider's endpoints";
  const needs = endpointHosts(server).map((host) => net(`https://${host}`, reason, "sign_in"));
  await permissionCheck("reach the provider")(needs, "sign_in");
}

/** The hosts, with ports, of all endpoints. */
export function endpointHosts(server: oauth.AuthorizationServer) {
  const isPushed = server.require_pushed_authorization_requests === true;
  const used = ENDPOINTS.filter((name) => isPushed || !name.startsWith("pushed"));
  const urls = used.flatMap((name) => URL.parse(server[name] ?? "") ?? []);
  return [...new Set(urls.map(netHost))];
}

/** An issuer without a trailing slash, which makes no other one. */
export function withoutSlash(issuer: string) {
  return issuer.replace(/\/$/, "");
}

/**
 * Refuses an endpoint that secrets must not travel to, before a person is asked. The endpoints of an
 * `https:` issuer are `https:`. Those of an `http:` issuer, which is on loopback, may also be `http:` on
 * loopback.
 */
export function checkEndpoint(name: string, text: unknown, issuer: string) {
  const url = typeof text === "string" ? URL.parse(text) : null;
  if (!url || !/^https?:$/.test(url.protocol) || url.username + url.password !== "") {
    const reason = `the ${name} in its discovery document is missing, or is not a plain URL`;
    throw invalidProvider(`use ${issuer}`, reason);
  }
  const mayBePlain = /^http:/i.test(issuer) && isLoopback(url.hostname);
  if (url.protocol === "https:" || mayBePlain) return;
  throw new ValidMindAuthError("insecure_url", {
    action: `use ${issuer}`,
    reason: `its ${name} would get secrets in clear text`,
    remedy: "Check the issuer, then ask the provider's administrator.",
  });
}
