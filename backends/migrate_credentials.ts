import { assertCredentialsBackend } from "./assert_credentials_backend.ts";
import { checkFunctionOption, checkOptions } from "./check_options.ts";
import { CredentialsBackendError } from "./credentials_backend_error.ts";
import type { OidcCredentials, OidcCredentialsBackend } from "./oidc_credentials_backend.ts";

/** Options of {@linkcode migrateCredentials}. */
export interface MigrateOptions {
  /**
   * Whether each entry is deleted from the source once its copy has been read back. Without it a
   * refresh token lives in two places, and the first refresh of a provider that rotates makes the
   * other copy worthless: see `liveCopies` of the result.
   *
   * @default false
   */
  deleteSource?: boolean;
  /**
   * Is told after each entry how far it is. What the function throws is dropped; nothing waits for
   * it.
   */
  onProgress?: (progress: MigrationProgress) => void;
  /** Ends the migration between two entries. What has been copied stays; a later run goes on. */
  signal?: AbortSignal;
}

/** How far a migration is. Holds no secret. */
export interface MigrationProgress {
  /** The key of the entry that was looked at last. */
  readonly key: string;
  /** How many entries have been looked at. */
  readonly done: number;
  /** How many there are. */
  readonly total: number;
}

/** What a migration did, by key. Holds no secret. */
export interface MigrationResult {
  /** Entries that were written to the target and read back the same. */
  readonly copied: readonly string[];
  /** Entries that the target already had, the same or one that ends later; left as they were. */
  readonly kept: readonly string[];
  /** Entries that were deleted from the source. */
  readonly deleted: readonly string[];
  /** Entries with a refresh token that are now in both: use one, and clear the other. */
  readonly liveCopies: readonly string[];
}

/**
 * Copies every entry from one backend to another, each under the source's lock, and reads it back
 * before it counts. Can be interrupted and run again: what the target already has is not copied
 * twice, and an entry there that ends later, such as one that was refreshed meanwhile, is not
 * overwritten.
 *
 * Needs what both backends need.
 *
 * @param from Where the entries are. It must be able to list its keys.
 * @param to Where they are to be.
 * @param options Whether the source is emptied.
 * @returns What was done, by key.
 * @throws {CredentialsBackendError} `backend_no_list`, `invalid_backend`, `invalid_options` when
 * both are one; `backend_unproven` when a copy reads back differently (the source then still has
 * the entry); and what either backend reports.
 *
 * @example
 * ```ts
 * import { MemoryCredentialsBackend, migrateCredentials } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * const from = new MemoryCredentialsBackend();
 * const to = new MemoryCredentialsBackend();
 * from.put("https://login.example.com|my-app", {
 *   issuer: "https://login.example.com",
 *   client_id: "my-app",
 *   access_token: "…",
 *   expires_at: "2099-01-01T00:00:00Z",
 * });
 * const { deleted } = await migrateCredentials(from, to, { deleteSource: true });
 * assertEquals(deleted, ["https://login.example.com|my-app"]);
 * ```
 */
export async function migrateCredentials(
  from: OidcCredentialsBackend,
  to: OidcCredentialsBackend,
  options: MigrateOptions = {},
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
