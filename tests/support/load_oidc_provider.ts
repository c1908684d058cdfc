// deno-lint-ignore-file no-console -- it leaves out what is expected
// @ts-types="@types/oidc-provider"
import type * as OidcProvider from "oidc-provider";

/** What the `oidc-provider` package exports. */
export type OidcProviderModule = typeof OidcProvider;

let loading: Promise<OidcProviderModule> | undefined;

/** That the runtime is not Node, and that its pages are those for development. */
const EXPECTED = /Unsupported runtime|devInteractions|oidc-provider NOTICE: default/;

/** Loads `oidc-provider` at first use. Of all that it says on the console, what is expected is left out. */
export function loadOidcProvider(): Promise<OidcProviderModule> {
  loading ??= importQuietly();
  return loading;
}

async function importQuietly(): Promise<OidcProviderModule> {
  for (const method of ["info", "warn"] as const) {
    const say = console[method];
    console[method] = (...data: unknown[]) => EXPECTED.test(String(data[0])) || say(...data);
  }
  return await import("oidc-provider");
}
