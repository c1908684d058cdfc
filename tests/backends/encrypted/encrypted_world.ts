import {
  EncryptedCredentialsBackend,
  type EncryptedCredentialsBackendOptions,
} from "../../../backends/encrypted.ts";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import type { OidcCredentialsBackend } from "../../../backends/oidc_credentials_backend.ts";
import { entry } from "../../support/entries.ts";
import { testKey } from "./encryption_keys.ts";

export const [FIRST, SECOND, THIRD] = [await testKey(1), await testKey(2), await testKey(3)];

/** An encrypted backend, over memory where nothing else is given. */
export function encrypted(
  backend: OidcCredentialsBackend = new MemoryCredentialsBackend(),
  options: Partial<EncryptedCredentialsBackendOptions> = {},
): EncryptedCredentialsBackend {
  return new EncryptedCredentialsBackend({ backend, key: FIRST, ...options });
}

/** The three methods alone. */
export function minimal(rows = new MemoryCredentialsBackend()): OidcCredentialsBackend {
  return {
    get: (key) => rows.get(key),
    put: (key, entry) => rows.put(key, entry),
    delete: (key) => rows.delete(key),
  };
}

/** A store in which every row is damaged. */
export const DAMAGED: OidcCredentialsBackend = {
  get: () => ({ ...entry(), encrypted: { version: 1 } }),
  put: () => {},
  delete: () => {},
};
