import type { DiscoverApiOptions, DiscoveredApi } from "./session_options.ts";

/**
 * Asks an API how to sign in to it: its protected resource metadata
 * ([RFC 9728](https://www.rfc-editor.org/rfc/rfc9728)). The metadata stands at the well-known address of
 * the API, with or without its last slash, or where the API names it in its answer to a call without a
 * token. No token is sent, nothing is stored, and no issuer is asked. Only the address that a person gave counts: the metadata has to be
 * of that API, at its origin, and no redirect is followed.
 *
 * Needs `--allow-net` for the API's host.
 *
 * @param address The address of the API, as a person or an administrator gave it.
 * @param options The signal and the `fetch` of the requests.
 * @returns The issuers, and options for `createSession`. With several issuers the options have none: add
 * the one that the person knows.
 * @throws {ValidMindAuthError} `api_metadata_invalid` without metadata that may be used;
 * `insecure_url` for an address or an issuer with `http:`; `api_unreachable`, `permission_required`,
 * `invalid_options`.
 * @category Sign in
 *
 * @example
 * ```ts
 * import { discoverApi } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * // An API that answers here; without `fetch` it is asked over the network.
 * const resource = "https://api.example.com/v1/";
 * const authorization_servers = ["https://login.example.com"];
 * const fetch = async () => await Promise.resolve(Response.json({ resource, authorization_servers }));
 *
 * const { issuers, options } = await discoverApi(resource, { fetch });
 * assertEquals(issuers, authorization_servers);
 * // Once a person knows the issuer: await createSession({ ...options, clientId: "my-client" })
 * assertEquals(options.apiHost, resource);
 * ```
 */
export async function discoverApi(
  address: string,
  options: DiscoverApiOptions = {},
): Promise<DiscoveredApi> {
  const { requestMetadata } = await import("./api/api_metadata.ts");
  return await requestMetadata(address, options);
}
