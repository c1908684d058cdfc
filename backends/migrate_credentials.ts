import type { OidcCredentialsBackend } from "./oidc_credentials_backend.ts";

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
  const { migrate } = await import("./migrate/migrate.ts");
  return await migrate(from, to, options);
}
