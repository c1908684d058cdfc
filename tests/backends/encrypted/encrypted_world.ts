import {
  EncryptedCredentialsBackend,
  type EncryptedCredentialsBackendOptions,
} from "../../../backends/encrypted.ts";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../../backends/oidc_credentials_backend.ts";
import { entry, KEY } from "../../support/entries.ts";
import { testKey } from "./encryption_keys.ts";

export const [FIRST, SECOND, THIRD] = [await testKey(1), await testKey(2), await testKey(3)];
export const PASSPHRASE = "correct horse battery staple";

/** An encrypted backend, over memory where nothing else is given. */
export function encrypted(
  backend: OidcCredentialsBackend = new MemoryCredentialsBackend(),
  options: Partial<EncryptedCredentialsBackendOptions> = {},
): EncryptedCredentialsBackend {
  return new EncryptedCredentialsBackend({ backend, key: FIRST, ...options });
}

type Sealed = Record<string, string> & { pbkdf2: { iterations: number; salt: string } };

/** The sealed part of a stored row. */
export function sealedIn(inner: MemoryCredentialsBackend, key = KEY): Sealed {
  return inner.get(`encrypted|${key}`)!.encrypted as Sealed;
}

/** Changes the sealed part of the row under {@linkcode KEY}. */
export function changeSealed(inner: MemoryCredentialsBackend, fields: object): void {
  const row = inner.get(`encrypted|${KEY}`)!;
  inner.put(`encrypted|${KEY}`, { ...row, encrypted: { ...row.encrypted as object, ...fields } });
}

let row: OidcCredentials | undefined;

/** A store with an entry under {@linkcode PASSPHRASE}, whose hashing takes long and is done once. */
export async function passphraseStore(): Promise<MemoryCredentialsBackend> {
  const inner = new MemoryCredentialsBackend();
  if (row === undefined) {
    await encrypted(inner, { key: { passphrase: PASSPHRASE } }).put(KEY, entry());
    row = inner.get(`encrypted|${KEY}`);
  }
  inner.put(`encrypted|${KEY}`, row!);
  return inner;
}
