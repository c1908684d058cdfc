import {
  assertCredentialsBackend,
  checkFunctionOption,
  checkOptions,
} from "../common/check_options.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import type { OidcCredentials, OidcCredentialsBackend } from "../oidc_credentials_backend.ts";
import type { MigrateOptions, MigrationResult } from "../migrate_credentials.ts";

/** See `migrateCredentials`, behind which this is loaded when somebody migrates. */
export async function migrate(
  from: OidcCredentialsBackend,
  to: OidcCredentialsBackend,
  options: MigrateOptions,
): Promise<MigrationResult> {
  checkOptions("migrate credentials", options, ["deleteSource", "onProgress", "signal"]);
  const { deleteSource = false, onProgress = () => {}, signal } = options;
  checkFunctionOption("migrate credentials", "onProgress", onProgress);
  const keys = await listSource(from, to);
  const result = { copied: [], kept: [], deleted: [], liveCopies: [] } as Record<
    keyof MigrationResult,
    string[]
  >;
  for (const [index, key] of keys.entries()) {
    signal?.throwIfAborted();
    await withSourceLock(from, key, async () => {
      const entry = await from.get(key);
      if (!entry) return; // cleared since it was listed
      const isCopied = await copy(to, key, entry);
      result[isCopied ? "copied" : "kept"].push(key);
      if (deleteSource) {
        await deleteFromSource(from, to, key, entry);
        result.deleted.push(key);
      } else if (entry.refresh_token) {
        result.liveCopies.push(key);
      }
    }, signal);
    const progress = { key, done: index + 1, total: keys.length };
    Promise.try(onProgress, progress).catch(() => undefined);
  }
  return result;
}

async function listSource(
  from: OidcCredentialsBackend,
  to: OidcCredentialsBackend,
): Promise<string[]> {
  assertCredentialsBackend(from, "the source");
  assertCredentialsBackend(to, "the target");
  if (from === to) {
    throw new CredentialsBackendError(
      "invalid_options",
      "Cannot migrate credentials: source and target are one backend. Pass two.",
    );
  }
  if (from.list === undefined) {
    throw new CredentialsBackendError(
      "backend_no_list",
      "Cannot migrate credentials: the source cannot list its keys. Sign in anew with the target.",
    );
  }
  return await Array.fromAsync(from.list());
}

/** So that a refresh does not rotate the token between its copy and its deletion. */
async function withSourceLock(
  from: OidcCredentialsBackend,
  key: string,
  fn: () => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  if (from.withLock === undefined) return await fn();
  await from.withLock(key, fn, signal === undefined ? {} : { signal });
}

/** Whether the entry was written; `false` when the target has it, or one that ends later. */
async function copy(
  to: OidcCredentialsBackend,
  key: string,
  entry: OidcCredentials,
): Promise<boolean> {
  const { equal } = await import("@std/assert/equal");
  const present = await to.get(key);
  if (present && (equal(present, entry) || endsLater(present, entry))) return false;
  await to.put(key, entry);
  if (equal(await to.get(key), entry)) return true;
  throw new CredentialsBackendError(
    "backend_unproven",
    `Cannot migrate the entry "${key}": the target gave back something else than was written. ` +
      `The source still has it. Repair the target, or use another one.`,
  );
}

/** Two backends may lead to one store, by a link or two names: then the only copy is put back. */
async function deleteFromSource(
  from: OidcCredentialsBackend,
  to: OidcCredentialsBackend,
  key: string,
  entry: OidcCredentials,
): Promise<void> {
  await from.delete(key);
  if (await to.get(key)) return;
  await to.put(key, entry);
  throw new CredentialsBackendError(
    "invalid_options",
    `Cannot migrate credentials: deleting "${key}" from the source removed it from the target too, ` +
      `so they are one store. It was put back. Pass two different stores.`,
  );
}

function endsLater(one: OidcCredentials, other: OidcCredentials): boolean {
  return Date.parse(one.expires_at ?? "") > Date.parse(other.expires_at ?? "");
}
