import { createBackend } from "./create_backend.ts";
import { CredentialsBackendError } from "./credentials_backend_error.ts";
import type { EncryptedCredentialsBackendOptions } from "./encrypted.ts";
import type { FallbackCredentialsBackendOptions } from "./fallback.ts";
import type { OidcCredentialsBackend } from "./oidc_credentials_backend.ts";
import { parseBackendSpec } from "./parse_backend_spec.ts";
import { KWARGS_VARIABLE } from "./read_backend_kwargs.ts";

/** Options as they stand in JSON: where an instance belongs, a name stands. */
type Options = Record<string, unknown>;

/**
 * An encrypted backend from JSON: `backend`, and the `backend` of a key, name a backend as
 * {@linkcode createNested} says.
 */
export async function createEncrypted(
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
  const { EncryptedCredentialsBackend } = await import("./encrypted.ts");
  return new EncryptedCredentialsBackend(made as EncryptedCredentialsBackendOptions);
}

/** A fallback backend from JSON, whose `backends` are named as {@linkcode createNested} says. */
export async function createFallback(
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
  const { FallbackCredentialsBackend } = await import("./fallback.ts");
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
