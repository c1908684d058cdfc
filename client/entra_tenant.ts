import type * as oauth from "oauth4webapi";
import { isEntraIssuer, readClaims } from "./credentials.ts";
import { ValidMindAuthError } from "./errors.ts";

/** What stands for the tenant in the issuer of Microsoft Entra's issuers for many tenants. */
const PLACE = "{tenantid}";
/** The tenant of all personal accounts. */
const CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad";
const GUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;

/**
 * The issuer that Microsoft Entra's discovery states where `common`, `organizations` or `consumers` is asked,
 * which is never the one that was asked: a template, or the tenant of personal accounts. On the same
 * host, to the letter; `undefined` for any other issuer, also of Entra.
 */
export function statedByEntra(issuer: string): string | undefined {
  const { origin, pathname } = new URL(issuer);
  const [, kind] = /^\/(common|organizations|consumers)\/v2\.0\/?$/.exec(pathname) ?? [];
  if (kind === undefined || !isEntraIssuer(issuer) || !origin.startsWith("https:")) {
    return undefined;
  }
  return `${origin}/${kind === "consumers" ? CONSUMERS : PLACE}/v2.0`;
}

/**
 * The provider as the tenant of an answer's ID token sees it, so that the token's issuer is compared
 * with an exact one.
 *
 * @throws {ValidMindAuthError} `id_token_invalid` where the token names no tenant that may be.
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
  if (isTenant) return { ...server, issuer: server.issuer.replace(PLACE, tenant) };
  throw new ValidMindAuthError(
    "id_token_invalid",
    `Cannot sign in at ${issuer}: the ID token failed its checks: it is of no tenant that may sign ` +
      `in there. Sign in with another account, or give the tenant's own issuer.`,
  );
}

/**
 * The keys that may sign for the tenant: each of Entra's says for which issuer it does. Without this
 * the key for personal accounts could sign for any company's tenant.
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
  return issuer?.includes(PLACE) === true;
}
