import { FileCredentialsBackend } from "./file.ts";
import { KvCredentialsBackend } from "./kv.ts";
import { MemoryCredentialsBackend } from "./memory.ts";
import type { MaybePromise, OidcCredentialsBackend } from "./oidc_credentials_backend.ts";
import type { BackendSpec, BuiltInName } from "./parse_backend_spec.ts";
import type { VaultCredentialsBackendOptions } from "./vault_options.ts";

/** Options as they stand in JSON. Each backend checks its own. */
type Options = Record<string, unknown>;

/** `isolate` is for the backends that its options name. */
type Create = (
  options: Options,
  isolate?: Deno.PermissionOptionsObject,
) => MaybePromise<OidcCredentialsBackend>;

/** How each built-in backend is made. What few people use is imported where it is named. */
const BUILT_IN: Record<BuiltInName, Create> = {
  file: (options) => new FileCredentialsBackend(options),
  memory: (options) => new MemoryCredentialsBackend(options),
  kv: (options) => new KvCredentialsBackend(options),
  vault: async (options) => {
    const { VaultCredentialsBackend } = await import("./vault.ts");
    return new VaultCredentialsBackend(options as unknown as VaultCredentialsBackendOptions);
  },
  keychain: async (options) => {
    const { KeychainCredentialsBackend } = await import("./keychain.ts");
    return new KeychainCredentialsBackend(options);
  },
  encrypted: async (options, isolate) =>
    (await import("./create_nested_backends.ts")).createEncrypted(options, isolate),
  fallback: async (options, isolate) =>
    (await import("./create_nested_backends.ts")).createFallback(options, isolate),
};

/**
 * Makes the backend that a setting names, in this process or, where `isolate` is given and the
 * backend is a third party's, in a Worker with these permissions.
 */
export async function createBackend(
  spec: BackendSpec,
  options: Options,
  isolate?: Deno.PermissionOptionsObject,
): Promise<OidcCredentialsBackend> {
  if (spec.kind === "built-in") return await BUILT_IN[spec.name](options, isolate);
  const { specifier, exportName } = spec;
  const { importBackend, moduleUrl } = await import("./import_backend.ts");
  if (isolate === undefined) return await importBackend(specifier, exportName, options);
  const { IsolatedBackend } = await import("./isolated_backend.ts");
  const url = await moduleUrl(specifier);
  return await IsolatedBackend.load({ url, exportName, options, permissions: isolate });
}
