import { assertCredentialsBackend } from "./common/describe_backend.ts";
import { checkOptions, invalidOptions } from "./common/check_options.ts";
import { entryFrom, listKeys } from "./common/read_backend.ts";
import { backendError } from "./common/foreign_error.ts";
import { isProbeKey, probeKey, shareStore } from "./common/marks.ts";
import { sameJson } from "./common/json.ts";
import { printable } from "./common/printable.ts";
import { CredentialsBackendError } from "./credentials_backend_error.ts";
import { parseExpiry } from "./is_expired.ts";
import type {
  MaybePromise,
  OidcCredentials,
  OidcCredentialsBackend,
} from "./oidc_credentials_backend.ts";

/**
 * Options of `migrateCredentials()`.
 *
 * @category Backends
 */
export interface MigrateOptions {
  /**
   * Whether each entry is deleted from the source once its copy has been read back. Without it a
   * refresh token lives in two places. A provider that rotates tokens makes one copy worthless at
   * the first refresh of the other: see {@linkcode MigrationResult.liveCopies}.
   *
   * @default {false}
   */
  deleteSource?: boolean;
}

/**
 * Result of a migration, by credential key. Holds no secret. The keys are as the stores have them.
 * Before you print one, remove its control characters.
 *
 * @category Backends
 */
export interface MigrationResult {
  /** Entries that were written to the target and read back the same. */
  readonly copied: readonly string[];
  /**
   * Entries that the target already had: the same entry, or one that does not end earlier. They were
   * not changed.
   */
  readonly kept: readonly string[];
  /** Entries that were deleted from the source. */
  readonly deleted: readonly string[];
  /** Entries with a refresh token that are now in both stores. Use one, and clear the other. */
  readonly liveCopies: readonly string[];
}

/**
 * Copies every entry from one backend to another. Each entry is copied under the locks of both, and
 * counts once it has been read back. A migration can be interrupted and run again. An entry that the
 * target already has is not copied twice. An entry of the target that ends later, such as a newer
 * sign-in, is not overwritten. An entry that is signed out of the target meanwhile is not brought
 * back.
 *
 * Needs the permissions of both backends.
 *
 * @param from The source. It must be able to list its keys.
 * @param to The target.
 * @param options Whether the source is emptied.
 * @returns The result, by credential key.
 * @throws {CredentialsBackendError} `backend_no_list`; `invalid_backend`; `invalid_options`, also if
 * source and target are one store or share one; `backend_unproven` if a copy reads back differently,
 * while the source still has the entry; the errors of both backends.
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
  checkOptions("migrate credentials", options, { deleteSource: "boolean" });
  const { deleteSource = false } = options;
  assertCredentialsBackend(from, "the source");
  assertCredentialsBackend(to, "the target");
  await assertApart(from, to, deleteSource);
  // Before anything else: a sign-out of the target from now on must not be undone.
  const former = to.list && await listKeys(to, "");
  const keys = await listKeys(from, "Sign in again with the target.");
  const result = { copied: [], kept: [], deleted: [], liveCopies: [] } as Record<
    keyof MigrationResult,
    string[]
  >;
  for (const key of keys.filter((key) => !isProbeKey(key))) {
    const migrate = async () => {
      const entry = await readEntry(from, key);
      if (!entry) return; // cleared since it was listed
      const outcome = await copy(to, key, entry, former?.includes(key) === true);
      if (outcome === undefined) return;
      result[outcome].push(key);
      if (deleteSource) {
        await guarded("delete", from, () => from.delete(key));
        result.deleted.push(key);
      } else if (entry.refresh_token) {
        result.liveCopies.push(key);
      }
    };
    await locked(from, key, () => locked(to, key, migrate));
  }
  return result;
}

async function assertApart(
  from: OidcCredentialsBackend,
  to: OidcCredentialsBackend,
  deleteSource: boolean,
) {
  const isOne = shareStore(from, to) || deleteSource && await showsWrites(from, to);
  if (!isOne) return;
  throw invalidOptions(
    "migrate credentials",
    "source and target are one store, or share one, such as a store of a fallback",
    "Name two that share none; the command line takes --from and --to.",
  );
}

/**
 * Whether what is written to the target shows in the source: one store by two names, such as a program and
 * its path. The only copy of an entry would be taken for the copied one, and deleted.
 */
async function showsWrites(from: OidcCredentialsBackend, to: OidcCredentialsBackend) {
  const key = await probeKey("migration");
  const probe = { issuer: "probe", client_id: "probe", access_token: crypto.randomUUID() };
  try {
    await guarded("write", to, () => to.put(key, probe));
    return sameJson(await readEntry(from, key), probe);
  } finally {
    await guarded("delete", to, () => to.delete(key));
  }
}

/** An error of a backend, without secrets that it may quote. */
async function guarded<T>(
  action: string,
  backend: OidcCredentialsBackend,
  run: () => MaybePromise<T>,
) {
  try {
    return await run();
  } catch (error) {
    throw backendError(`${action} credentials in`, backend, error);
  }
}

async function readEntry(
  backend: OidcCredentialsBackend,
  key: string,
) {
  return await guarded("read", backend, async () => entryFrom(backend, await backend.get(key)));
}

async function locked(
  backend: OidcCredentialsBackend,
  key: string,
  fn: () => Promise<void>,
) {
  if (!backend.withLock) return await fn();
  await guarded("lock", backend, () => backend.withLock!(key, fn));
}

/** `undefined`: the entry of the target was changed or removed meanwhile, and nothing was written. */
async function copy(
  to: OidcCredentialsBackend,
  key: string,
  entry: OidcCredentials,
  wasThere: boolean,
): Promise<"copied" | "kept" | undefined> {
  const present = await readEntry(to, key);
  if (present && parseExpiry(present.expires_at) >= parseExpiry(entry.expires_at)) return "kept";
  if (!present && wasThere) return undefined;
  const put = () => to.put(key, entry, { isReplaced: (found) => sameJson(found, present) });
  const stored = await guarded("write", to, put);
  if (stored === false) return undefined;
  if (sameJson(await readEntry(to, key), entry)) return "copied";
  throw new CredentialsBackendError("backend_unproven", {
    action: `migrate the entry "${printable(key)}"`,
    reason: "the target gave back another entry than was written",
    remedy: "The source still has it. Repair the target, or use another one.",
  });
}
