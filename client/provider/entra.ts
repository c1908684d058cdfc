import type * as oauth from "oauth4webapi";
import { readClaims } from "../entry.ts";
import { ValidMindAuthError } from "../errors.ts";
import { isEntraIssuer } from "../options/identity.ts";

/** The placeholder of the tenant in the issuers that Microsoft Entra states for many tenants. */
const TENANT_PLACE = "{tenantid}";
/** The tenant of all personal accounts. */
const CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad";
const GUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;

/**
 * The issuer that Microsoft Entra's discovery states for `common`, `organizations` or `consumers`. It
 * is never the issuer that was asked for: it is a template, or the tenant of personal accounts, on
 * the same host. `undefined` for any other issuer, also of Entra.
 */
export function statedByEntra(issuer: string): string | undefined {
  const { origin, pathname } = new URL(issuer);
  const [, kind] = /^\/(common|organizations|consumers)\/v2\.0\/?$/.exec(pathname) ?? [];
  if (kind === undefined || !isEntraIssuer(issuer) || !origin.startsWith("https:")) {
    return undefined;
  }
  return `${origin}/${kind === "consumers" ? CONSUMERS : TENANT_PLACE}/v2.0`;
}

/**
 * The provider with the tenant of an answer's ID token as its issuer, so that the token's issuer is
 * compared with an exact one.
 *
 * @throws {ValidMindAuthError} `id_token_invalid` where the token names no tenant that is allowed.
 */
export async function asTenant(
  server: oauth.AuthorizationServer,
  issuer: string,
  response: Response,
): Promise<oauth.AuthorizationServer> {
  if (!isTemplate(statedByEntra(issuer))) return server;
  const { id_token } = await response.clone().json();
  if (typeof id_token !== "string") return server;
  const tenant = readClaims(id_token)?.tid;
  const isTenant = typeof tenant === "string" && GUID.test(tenant) &&
    !(tenant === CONSUMERS && issuer.includes("/organizations/"));
  if (isTenant) return { ...server, issuer: server.issuer.replace(TENANT_PLACE, tenant) };
  throw new ValidMindAuthError(
    "id_token_invalid",
    `Cannot sign in at ${issuer}: the ID token failed its checks: it is of no tenant that may sign ` +
      `in there. Sign in with another account, or give the tenant's own issuer.`,
  );
}

/**
 * The provider with the tenant that an answer in the browser names as its issuer (RFC 9207). A template
 * is no issuer that an answer could name.
 */
export function asAnswering(
  server: oauth.AuthorizationServer,
  issuer: string,
  stated: string | null,
): oauth.AuthorizationServer {
  if (stated === null || !isTemplate(statedByEntra(issuer))) return server;
  const [before, after] = server.issuer.split(TENANT_PLACE) as [string, string];
  const isOfTenant = stated.startsWith(before) && stated.endsWith(after) &&
    GUID.test(stated.slice(before.length, stated.length - after.length));
  return isOfTenant ? { ...server, issuer: stated } : server;
}

/**
 * The keys that may sign for the tenant: each key of Entra names its issuer. Without this check, the
 * key for personal accounts could sign for any company's tenant.
 */
export async function keysOfTenant(
  server: oauth.AuthorizationServer,
  issuer: string,
  response: Response,
): Promise<Response> {
  const template = statedByEntra(issuer);
  if (!isTemplate(template)) return response;
  const { keys } = await response.json();
  const own = Array.isArray(keys)
    ? keys.filter((key) => [undefined, template, server.issuer].includes(key?.issuer))
    : keys;
  return Response.json({ keys: own }, { status: response.status });
}

function isTemplate(issuer: string | undefined): issuer is string {
  return issuer?.includes(TENANT_PLACE) === true;
}
