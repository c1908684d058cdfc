// @ts-types="@types/oidc-provider"
import type * as OidcProvider from "oidc-provider";

/** What the `oidc-provider` package exports. */
export type OidcProviderModule = typeof OidcProvider;

let loading: Promise<OidcProviderModule> | undefined;

/**
 * Loads `oidc-provider` at first use.
 *
 * It warns on the console, at import, about every runtime that is not Node; that one line is left out
 * to keep test output clean. All its other warnings point at real mistakes and stay.
 */
export function loadOidcProvider(): Promise<OidcProviderModule> {
  loading ??= importQuietly();
  return loading;
}

async function importQuietly(): Promise<OidcProviderModule> {
  const { console } = globalThis;
  const { warn } = console;
  console.warn = (...data: unknown[]) => {
    if (!String(data[0]).includes("Unsupported runtime")) warn(...data);
  };
  try {
    return await import("oidc-provider");
  } finally {
    console.warn = warn;
  }
}
