import { netHost } from "../backends/net_host.ts";
import type { PermissionNeed } from "./permission_need.ts";
import type { ResolvedOptions } from "./resolve_options.ts";

/**
 * The hosts that are known without asking anybody. None with a `fetch` of the caller's own, which
 * may need no network, or another permission for it.
 */
export function hostNeeds({ identity, apiHost, runtime }: ResolvedOptions): PermissionNeed[] {
  if (runtime.fetch !== globalThis.fetch) return [];
  const needs: PermissionNeed[] = [];
  const add = (url: string, reason: string, need: PermissionNeed["need"]) =>
    needs.push({ name: "net", host: netHost(new URL(url)), reason, need });
  if (apiHost !== undefined) add(apiHost, "to call the API", "always");
  if (identity.kind === "oidc") add(identity.issuer, "to sign in at the provider", "sign_in");
  return needs;
}
