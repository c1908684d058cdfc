import type { Runtime } from "../options/resolve_options.ts";
import type { RequestedDiscovery } from "../provider/oidc_provider.ts";

/** Loaded where the provider is needed. */
export async function loadGrants() {
  await loadCompiled();
  return await import("../provider/refresh_grant.ts");
}

/**
 * Loads a package by its file. Deno 2 keeps compiled code by file, and looks for that of a package
 * behind an `import()` by its name: each process would compile it anew, and keep it once more.
 */
async function loadCompiled(): Promise<void> {
  try {
    const url = import.meta.resolve("npm:oauth4webapi@^3.8.8");
    if (url.startsWith("file:")) await import(url);
  } catch {
    // It is loaded by its name, more slowly.
  }
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
