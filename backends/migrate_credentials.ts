import type { MigrateOptions, MigrationResult } from "./migrate/migration.ts";
import type { OidcCredentialsBackend } from "./oidc_credentials_backend.ts";

export type { MigrateOptions, MigrationProgress, MigrationResult } from "./migrate/migration.ts";

/** Loaded where somebody migrates: every start loads this file. */
const loadMigration = () => import("./migrate/migration.ts");

/**
 * Copies every entry from one backend to another. Each entry is copied under the source's lock, and
 * counts once it has been read back. A migration can be interrupted and run again: an entry that the
 * target already has is not copied twice, and one there that ends later, such as one that was
 * refreshed meanwhile, is not overwritten.
 *
 * Needs the permissions of both backends.
 *
 * @param from The source. It must be able to list its keys.
 * @param to The target.
 * @param options Whether the source is emptied, a listener for the progress, and a signal.
 * @returns The result, by credential key.
 * @throws {CredentialsBackendError} `backend_no_list`; `invalid_backend`; `invalid_options`, also
 * where source and target are one backend; `backend_unproven` where a copy reads back differently
 * (the source then still has the entry); and the errors of both backends.
 * @category Backends
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
  const { migrate } = await loadMigration();
  return await migrate(from, to, options);
}
