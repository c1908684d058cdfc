import type { CredentialStore } from "./store.ts";
import { getOrSet } from "./source.ts";

/** Enough to recognise every older copy of an entry that a store can come up with. */
const MAX_REMEMBERED = 64;

const spent = new WeakMap<object, Map<string, Set<string>>>();

/**
 * Remembers, for this process, that a refresh token is used up. A provider takes its second use for a
 * theft and ends the sign-in. Only a hash is kept.
 */
export async function markSpent({ owner, key }: CredentialStore, token: string): Promise<void> {
  const keys = getOrSet(spent, owner, () => new Map<string, Set<string>>());
  const hashes = getOrSet(keys, key, () => new Set<string>());
  hashes.add(await hash(token));
  const [oldest] = hashes;
  if (hashes.size > MAX_REMEMBERED) hashes.delete(oldest!);
}

/** Whether this process knows that a refresh token is used up. */
export async function isSpent({ owner, key }: CredentialStore, token: string): Promise<boolean> {
  const hashes = spent.get(owner)?.get(key);
  return hashes !== undefined && hashes.has(await hash(token));
}

async function hash(token: string): Promise<string> {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token));
  return new Uint8Array(bytes).toBase64();
}
