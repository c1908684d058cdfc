import {
  type BackendSpec,
  type BuiltInName,
  KWARGS_VARIABLE,
  parseBackendSpec,
} from "./backend_setting.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import type { EncryptedCredentialsBackendOptions } from "../encrypted.ts";
import type { FallbackCredentialsBackendOptions } from "../fallback.ts";
import { FileCredentialsBackend } from "../file.ts";
import { KvCredentialsBackend } from "../kv.ts";
import { MemoryCredentialsBackend } from "../memory.ts";
import type { MaybePromise, OidcCredentialsBackend } from "../oidc_credentials_backend.ts";
import type { VaultCredentialsBackendOptions } from "../vault/options.ts";

/**
 * Options as they stand in JSON: where an instance belongs, a name stands. Each backend checks its
 * own.
 */
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
    const { VaultCredentialsBackend } = await import("../vault.ts");
    return new VaultCredentialsBackend(options as unknown as VaultCredentialsBackendOptions);
  },
  keychain: async (options) => {
    const { KeychainCredentialsBackend } = await import("../keychain.ts");
    return new KeychainCredentialsBackend(options);
  },
  encrypted: createEncrypted,
  fallback: createFallback,
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

/**
 * An encrypted backend from JSON: `backend`, and the `backend` of a key, name a backend as
 * {@linkcode createNested} says.
 */
async function createEncrypted(
  options: Options,
  isolate?: Deno.PermissionOptionsObject,
): Promise<OidcCredentialsBackend> {
  const create = (value: unknown, path: string) => createNested(value, path, isolate);
  const key = async (value: unknown, path: string) =>
    isRecord(value) && "backend" in value
      ? { ...value, backend: await create(value.backend, `${path}.backend`) }
      : value;
  const { olderKeys } = options;
  const made = {
    ...options,
    ...("backend" in options && { backend: await create(options.backend, "backend") }),
    ...("key" in options && { key: await key(options.key, "key") }),
    ...(Array.isArray(olderKeys) && {
      olderKeys: await Promise.all(olderKeys.map((one, i) => key(one, `olderKeys[${i}]`))),
    }),
  };
  const { EncryptedCredentialsBackend } = await import("../encrypted.ts");
  return new EncryptedCredentialsBackend(made as EncryptedCredentialsBackendOptions);
}

/** A fallback backend from JSON, whose `backends` are named as {@linkcode createNested} says. */
async function createFallback(
  options: Options,
  isolate?: Deno.PermissionOptionsObject,
): Promise<OidcCredentialsBackend> {
  const { backends } = options;
  const made = {
    ...options,
    ...(Array.isArray(backends) && {
      backends: await Promise.all(
        backends.map((one, i) => createNested(one, `backends[${i}]`, isolate)),
      ),
    }),
  };
  const { FallbackCredentialsBackend } = await import("../fallback.ts");
  return new FallbackCredentialsBackend(made as FallbackCredentialsBackendOptions);
}

/** A backend by its name or `<module>:<ExportName>`, or by `{ name, options }`. */
async function createNested(
  value: unknown,
  path: string,
  isolate: Deno.PermissionOptionsObject | undefined,
): Promise<OidcCredentialsBackend> {
  const { name, options = {}, ...rest } = isRecord(value) ? value : { name: value };
  if (typeof name !== "string" || !isRecord(options) || Object.keys(rest).length > 0) {
    throw new CredentialsBackendError(
      "backend_kwargs_invalid",
      `Cannot read ${KWARGS_VARIABLE}: "${path}" names no backend. Give its name, such as "file", or ` +
        `{"name": "file", "options": {"path": "\${HOME}/tokens.json"}}.`,
    );
  }
  const spec = parseBackendSpec(name, `${KWARGS_VARIABLE}.${path}`);
  return await createBackend(spec, options, isolate);
}

function isRecord(value: unknown): value is Options {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
