import * as oauth from "oauth4webapi";
import { given } from "../../backends/common/json.ts";
import { printable } from "../../backends/common/printable.ts";
import { DEFAULT_SCOPE } from "../entry/bearer.ts";
import { ValidMindAuthError } from "../errors.ts";
import { SIGN_IN_WORDS } from "../options/declaration.ts";
import { secureUrl } from "../options/resolve_identity.ts";
import { checkCallOptions, type Runtime, runtimeOf } from "../options/resolve_options.ts";
import { withoutSlash } from "../provider/discovery.ts";
import { faultWords } from "../provider/error.ts";
import type { DiscoverApiOptions, DiscoveredApi } from "../session_options.ts";
import { FIND_API, joinScopes, type Parameters, WORDS } from "./demand.ts";
import { ApiTransport } from "./transport.ts";

const WELL_KNOWN = "/.well-known/oauth-protected-resource";

/** More than any API sends. The time to read a header grows with the square of its length. */
const MAX_HEADER = 10_000;

/** The first challenge of an answer whose parameter `name` begins so. */
export async function findChallenge(
  headers: Headers,
  name: string,
  begin: string,
): Promise<Parameters> {
  const header = headers.get("www-authenticate")?.slice(0, MAX_HEADER) ?? "";
  // Any of its checks of an answer gives the challenges as the cause of its error.
  const answer = new Response(null, { status: 401, headers: { "www-authenticate": header } });
  const { cause } = await oauth.processRevocationResponse(answer).catch((error) => error);
  const found = [cause].flat().find(({ parameters }) => parameters?.[name]?.startsWith(begin));
  return found?.parameters ?? {};
}

/**
 * Reads the metadata of an API: see `discoverApi`. It stands at the address that RFC 9728 forms of the API's
 * own, with or without its last slash, or where the API names it at its own origin.
 */
export async function requestMetadata(
  address: string,
  options: DiscoverApiOptions,
): Promise<DiscoveredApi> {
  checkCallOptions(FIND_API, options, { signal: "signal", fetch: "function" });
  const typed = secureUrl(address, "the address", FIND_API);
  typed.search = typed.hash = "";
  const runtime = runtimeOf(options);
  const get = getterOf(runtime, options.signal);
  // A slash at the end makes another API and another place, and people do not see it.
  const bare = withoutSlash(typed.href);
  const start = runtime.elapsed();
  let fault: unknown;
  for (const form of new Set([typed.href, new URL(bare).href, `${bare}/`])) {
    const resource = new URL(form);
    const place = resource.origin + WELL_KNOWN + resource.pathname.replace(/^\/$/, "");
    try {
      return await readMetadata(typed, resource, place, await get(place));
    } catch (error) {
      fault ??= error;
      // It would not answer at another address either.
      if (runtime.elapsed() - start >= runtime.timeoutMs) throw fault;
    }
  }
  const { headers } = await get(typed.href);
  const { resource_metadata: place = "" } = await findChallenge(headers, "resource_metadata", "");
  // The API for whose address this place is formed, which the typed one is, or is below.
  const resource = URL.parse(place.replace(WELL_KNOWN, ""));
  const isAbove = resource && `${bare}/`.startsWith(`${withoutSlash(resource.href)}/`);
  if (isAbove && URL.parse(place)?.origin === typed.origin) {
    return await readMetadata(typed, resource, printable(place), await get(place));
  }
  throw fault;
}

/** Its requests carry nothing, follow no redirect, and have an end. */
function getterOf(runtime: Runtime, signal: AbortSignal | undefined) {
  const transport = new ApiTransport(runtime);
  const init = { signal, redirect: "error" } as const;
  return async (href: string) => {
    const request = { url: new URL(href), init, place: "the address" };
    const answer = await transport.send(request, { headers: {}, fetch: runtime.fetch });
    const text = await transport.readText(request, answer, 65_536); // more than any API publishes
    return new Response(text || null, answer);
  };
}

/** Reads metadata that is of this resource alone: RFC 9728, section 3.3. */
async function readMetadata(
  typed: URL,
  resource: URL,
  place: string,
  answer: Response,
) {
  const metadata = await oauth.processResourceDiscoveryResponse(resource, answer)
    .catch((error) => {
      const words = faultWords(error);
      throw unusable(`${place} answered ${answer.status}, and not as RFC 9728 says: ${words}`);
    });
  return toDiscovered(metadata, typed);
}

function toDiscovered(metadata: oauth.ResourceServer, typed: URL): DiscoveredApi {
  const issuers = [metadata.authorization_servers ?? []].flat().map(String);
  const scopes = [metadata.scopes_supported ?? []].flat();
  const scope = joinScopes(DEFAULT_SCOPE, ...scopes);
  // The issuers one after the other, each with https:, or http: where the API has it on this computer.
  const official = new RegExp(`^((https:|${typed.protocol})//[\\w.~:/%[\\]-]+( |$))+$`);
  const dpop = metadata.dpop_bound_access_tokens_required ?? false;
  const [way, own] = dpop
    ? ["dpop_signing_alg_values_supported", "ES256"]
    : ["bearer_methods_supported", "header"];

  if (!official.test(issuers.join(" "))) {
    throw unusable("its metadata names no issuer, or one that is not an https: address");
  }
  // Reading an address leaves out line breaks in it, and control characters around it.
  if (!WORDS.test(`${scope} ${metadata.resource}`) || typeof dpop !== "boolean") {
    throw unusable(
      "the scopes or the address in its metadata, or its words about DPoP, cannot be used",
    );
  }
  if (![metadata[way] ?? own].flat().includes(own)) {
    throw unusable("it takes no token in a header, or no proof of DPoP by ES256");
  }
  return {
    issuers,
    options: given({
      apiHost: typed.href,
      issuer: issuers.length === 1 ? issuers[0] : undefined,
      audience: metadata.resource,
      scope: scopes.length ? scope : undefined,
      dpop: dpop || undefined,
    }),
  };
}

function unusable(reason: string) {
  return new ValidMindAuthError("api_metadata_invalid", {
    action: FIND_API,
    reason,
    remedy: `Check the address. Or leave it out, and set ${SIGN_IN_WORDS}: the API's ` +
      "administrator knows them.",
  });
}
