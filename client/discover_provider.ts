import * as oauth from "oauth4webapi";
import { netHost } from "../backends/hosts.ts";
import { checkEndpoints } from "./check_endpoints.ts";
import { statedByEntra } from "./entra_tenant.ts";
import { ValidMindAuthError } from "./errors.ts";
import type { PermissionNeed } from "./permission_need.ts";
import { preflight } from "./preflight.ts";

/**
 * Asks for the provider's discovery document and checks whose it is: OpenID Connect Discovery,
 * section 4.
 */
export async function discoverProvider(
  issuer: string,
  options: oauth.DiscoveryRequestOptions,
): Promise<oauth.AuthorizationServer> {
  const url = new URL(issuer);
  const response = await oauth.discoveryRequest(url, options);
  if (response.status === 404) {
    throw new ValidMindAuthError(
      "provider_invalid",
      `Cannot find an OpenID Provider at ${issuer}: it has no ` +
        `/.well-known/openid-configuration. Check the issuer.`,
    );
  }
  const { issuer: stated } = await response.clone().json();
  // With or without a trailing slash it is the same issuer; tokens name it as it names itself.
  const isSame = typeof stated === "string" &&
    (withoutSlash(stated) === withoutSlash(url.href) || stated === statedByEntra(url.href));
  const server = await oauth.processDiscoveryResponse(isSame ? new URL(stated) : url, response);
  checkEndpoints(server, issuer);
  return server;
}

/**
 * Makes sure of the permissions for all endpoints before the person is asked for anything: an
 * approval that cannot be fetched helps nobody.
 */
export async function preflightEndpoints(server: oauth.AuthorizationServer): Promise<void> {
  const needs = endpointHosts(server).map((host): PermissionNeed => ({
    name: "net",
    host,
    reason: "to use the provider's endpoints",
    need: "sign_in",
  }));
  await preflight("reach the provider", needs, "sign_in");
}

/** The hosts, with ports, of the endpoints that a sign-in uses. */
export function endpointHosts(server: oauth.AuthorizationServer): string[] {
  const { device_authorization_endpoint, token_endpoint, jwks_uri } = server;
  const urls = [device_authorization_endpoint, token_endpoint, jwks_uri].flatMap((text) =>
    URL.parse(text ?? "") ?? []
  );
  return [...new Set(urls.map(netHost))];
}

function withoutSlash(issuer: string): string {
  return issuer.replace(/\/$/, "");
}
