import * as oauth from "oauth4webapi";
import { given } from "../../backends/common/json.ts";
import { DEFAULT_SCOPE } from "../entry/bearer.ts";
import { ValidMindAuthError } from "../errors.ts";
import { SIGN_IN_WORDS } from "../options/declaration.ts";
import { secureUrl } from "../options/resolve_identity.ts";
import { checkCallOptions, runtimeOf } from "../options/resolve_options.ts";
import type { DiscoverApiOptions, DiscoveredApi } from "../session_options.ts";
import { joinScopes, type Parameters, WORDS } from "./demand.ts";
import { ApiTransport } from "./transport.ts";

const ACTION = "find out how to sign in to the API";

/** More than any API sends. The time to read a header grows with the square of its length. */
const MAX_HEADER = 10_000;

/** The parameters of each challenge in a `WWW-Authenticate` header. */
export async function readChallenges(header: string): Promise<readonly Parameters[]> {
  const headers = { "www-authenticate": header.slice(0, MAX_HEADER) };
  const answer = new Response(null, { headers });
  const { cause = [] } = await oauth.protectedResourceRequest(
    "none",
    "GET",
    new URL("https://api.invalid"), // nothing is requested
    undefined,
    undefined,
    { [oauth.customFetch]: () => Promise.resolve(answer) },
  ).catch((error) => error);
  return cause.map(({ parameters }: { parameters: Parameters }) => parameters);
}

/**
 * Reads the metadata of an API: see `discoverApi`. It stands at the address that RFC 9728 forms of the API's
 * own, with or without its last slash, or where the API names it at its own origin.
 */
export async function requestMetadata(
  address: string,
  options: DiscoverApiOptions,
): Promise<DiscoveredApi> {
  checkCallOptions(ACTION, options, { signal: "signal", fetch: "function" });
  const typed = secureUrl(address, "the address", ACTION);
  typed.search = typed.hash = "";
  const { signal, fetch = globalThis.fetch } = options;
  const transport = new ApiTransport(runtimeOf({ fetch }));
  // The request carries nothing, follows no redirect, and has an end.
  const get = async (href: string) => {
    const request = { url: new URL(href), init: { signal, redirect: "error" } } as const;
    const answer = await transport.send(request, { headers: {}, fetch });
    const text = await transport.readText(request, answer, 65_536); // more than any API publishes
    return new Response(text || null, answer);
  };
  const means = { [oauth.customFetch]: get, [oauth.allowInsecureRequests]: true }; // it was checked
  const readAt = async (resource: URL) =>
    await readMetadata(typed, resource, await oauth.resourceDiscoveryRequest(resource, means));
  // A slash at the end makes another API and another place, and people do not see it.
  const bare = withoutSlash(typed);
  const forms = new Set([typed.href, new URL(bare).href, `${bare}/`]);
  let fault: unknown;
  for (const form of forms) {
    try {
      return await readAt(new URL(form));
    } catch (error) {
      fault ??= error;
    }
  }
  const { headers } = await get(typed.href);
  const place = await namedPlace(headers);
  // The API for whose address this place is formed, which the typed one is, or is below.
  const resource = place &&
    new URL(place.href.replace("/.well-known/oauth-protected-resource", ""));
  if (!resource || !`${typed.href}/`.startsWith(`${withoutSlash(resource)}/`)) throw fault;
  return await readMetadata(typed, resource, await get(place.href));
}

/** The place of the metadata that an answer of the API names. */
async function namedPlace(headers: Headers): Promise<URL | null> {
  const challenges = await readChallenges(headers.get("www-authenticate") ?? "");
  const named = challenges.find(({ resource_metadata }) => resource_metadata);
  return URL.parse(named?.resource_metadata ?? "");
}

function withoutSlash({ href }: URL): string {
  return href.replace(/\/$/, "");
}

/** The codes of an answer with another status than 200, and of one that is no JSON. */
const ABSENT = [oauth.RESPONSE_IS_NOT_CONFORM, oauth.RESPONSE_IS_NOT_JSON, oauth.PARSE_ERROR];

/** Reads metadata that is of this resource alone: RFC 9728, section 3.3. */
async function readMetadata(typed: URL, resource: URL, answer: Response): Promise<DiscoveredApi> {
  const metadata = await oauth.processResourceDiscoveryResponse(resource, answer)
    .catch(({ code, message }) => {
      if (ABSENT.includes(code)) throw unusable("it does not say how to sign in to it (RFC 9728)");
      throw unusable(`its metadata cannot be used: ${message}`); // a fixed text, unlike its cause
    });
  const listOf = (name: string) => [metadata[name] ?? []].flat().map(String);
  const issuers = listOf("authorization_servers");
  const scopes = listOf("scopes_supported");
  const scope = joinScopes(DEFAULT_SCOPE, ...scopes);
  // The issuers one after the other, each with https:, or http: where the API has it on this computer.
  const official = new RegExp(`^((https:|${typed.protocol})//[\\w.~:/%[\\]-]+( |$))+$`);
  const dpop = metadata.dpop_bound_access_tokens_required ?? false;

  if (!official.test(issuers.join(" "))) {
    throw unusable("its metadata names no issuer, or one that is not an https: address");
  }
  if (!WORDS.test(scope) || typeof dpop !== "boolean") {
    throw unusable("the scopes of its metadata, or its words about DPoP, cannot be used");
  }
  return {
    issuers,
    options: given({
      apiHost: typed.href,
      issuer: issuers.length === 1 ? issuers[0] : undefined,
      audience: metadata.resource,
      scope: scopes.length > 0 ? scope : undefined,
      dpop: dpop || undefined,
    }),
  };
}

function unusable(reason: string): ValidMindAuthError {
  return new ValidMindAuthError("api_metadata_invalid", {
    action: ACTION,
    reason,
    remedy: `Ask the API's administrator for issuer and client id, and set ${SIGN_IN_WORDS}.`,
  });
}
