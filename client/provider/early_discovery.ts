import type { Runtime } from "../options/runtime.ts";

/** A discovery document that was requested ahead of its use. Disposal ends the request. */
export interface RequestedDiscovery extends Disposable {
  readonly url: string;
  readonly response: Promise<Response>;
}

/**
 * Requests the discovery document exactly as oauth4webapi does, but before oauth4webapi is loaded.
 * Only `OidcProvider` reads the answer.
 */
export function requestDiscovery(issuer: string, { fetch }: Runtime): RequestedDiscovery {
  const url = new URL(issuer);
  url.pathname = `${url.pathname}/.well-known/openid-configuration`.replace("//", "/");
  const end = new AbortController();
  const headers = { accept: "application/json" };
  const request = { headers, redirect: "manual", signal: end.signal } as const;
  const response = Promise.try(fetch, url.href, request);
  response.catch(() => undefined); // reported where the answer is used
  return { url: url.href, response, [Symbol.dispose]: () => end.abort() };
}
