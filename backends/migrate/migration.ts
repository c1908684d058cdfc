import { assertReadableBackend, backendError, entryFrom } from "../common/describe_backend.ts";
import { printable } from "../common/printable.ts";
import { checkOptions, CredentialsBackendError } from "../credentials_backend_error.ts";
import type { OidcCredentials, OidcCredentialsBackend } from "../oidc_credentials_backend.ts";

/** Loaded where an entry is copied. */
const loadEqual = () => import("@std/assert/equal");

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
   * @default false
   */
  deleteSource?: boolean;
  /**
   * Receives the progress after each entry. The migration does not wait for this function, and
   * drops an error that it throws.
   */
  onProgress?: (progress: MigrationProgress) => void;
  /** Ends the migration between two entries. Copied entries stay; a later run goes on. */
  signal?: AbortSignal;
}

/**
 * Progress of a migration. Holds no secret.
 *
 * @category Backends
 */
export interface MigrationProgress {
  /** The key of the entry that was looked at last, for display: without control characters. */
  readonly key: string;
  /** How many entries have been looked at. */
  readonly done: number;
  /** How many entries there are. */
  readonly total: number;
}

/**
 * Result of a migration, by credential key. Holds no secret. The keys are as the stores have them:
 * before a terminal shows one, its control characters have to go.
 *
 * @category Backends
 */
export interface MigrationResult {
  /** Entries that were written to the target and read back the same. */
  readonly copied: readonly string[];
  /** Entries that the target already had, the same or one that ends later. They were not changed. */
  readonly kept: readonly string[];
  /** Entries that were deleted from the source. */
  readonly deleted: readonly string[];
  /** Entries with a refresh token that are now in both stores. Use one, and clear the other. */
  readonly liveCopies: readonly string[];
}

/** Does the work of `migrateCredentials()`. */
export async function migrate(
  from: OidcCredentialsBackend,
  to: OidcCredentialsBackend,
  options: MigrateOptions,
): Promise<MigrationResult> {
  checkOptions("migrate credentials", options, {
    deleteSource: "boolean",
    onProgress: "function",
    signal: "signal",
  });
  const { deleteSource = false, onProgress = () => {}, signal } = options;
  const keys = await listSource(from, to);
  const result = { copied: [], kept: [], deleted: [], liveCopies: [] } as Record<
    keyof MigrationResult,
    string[]
  >;
  for (const [index, key] of keys.entries()) {
    signal?.throwIfAborted();
    await withSourceLock(from, key, async () => {
      const entry = await read(from, key);
      if (entry === undefined) return; // cleared since it was listed
      const isCopied = await copy(to, key, entry);
      result[isCopied ? "copied" : "kept"].push(key);
      if (deleteSource) {
        await deleteFromSource(from, to, key, entry);
        result.deleted.push(key);
      } else if (entry.refresh_token) {
        result.liveCopies.push(key);
      }
    }, signal);
    const progress = { key: printable(key, Infinity), done: index + 1, total: keys.length };
    Promise.try(onProgress, progress).catch(() => undefined);
  }
  return result;
}

async function listSource(
  from: OidcCredentialsBackend,
  to: OidcCredentialsBackend,
): Promise<string[]> {
  assertReadableBackend(from, "the source");
  assertReadableBackend(to, "the target");
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
  const { list } = from;
  return await guarded("list", from, () => Array.fromAsync(list.call(from)));
}

/** An error of a backend, without the secrets of the entry that it may quote. */
async function guarded<T>(
  action: string,
  backend: OidcCredentialsBackend,
  run: () => T | Promise<T>,
  known?: OidcCredentials,
): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw backendError(`${action} credentials in`, backend, error, known);
  }
}

async function read(
  backend: OidcCredentialsBackend,
  key: string,
  known?: OidcCredentials,
): Promise<OidcCredentials | undefined> {
  const get = async () => entryFrom(backend, await backend.get(key));
  return await guarded("read", backend, get, known);
}

/** Keeps a refresh from rotating the token between its copy and its deletion. */
async function withSourceLock(
  from: OidcCredentialsBackend,
  key: string,
  fn: () => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  if (from.withLock === undefined) return await fn();
  try {
    await from.withLock(key, fn, signal === undefined ? {} : { signal });
  } catch (error) {
    throw signal?.aborted && error === signal.reason
      ? error
      : backendError("lock credentials in", from, error);
  }
}

/** Whether the entry was written: not where the target has it, or one that ends later. */
async function copy(
  to: OidcCredentialsBackend,
  key: string,
  entry: OidcCredentials,
): Promise<boolean> {
  const { equal } = await loadEqual();
  const present = await read(to, key, entry);
  const endOf = ({ expires_at }: OidcCredentials) => Date.parse(expires_at ?? "");
  if (present && (equal(present, entry) || endOf(present) > endOf(entry))) return false;
  await guarded("write", to, () => to.put(key, entry), entry);
  if (equal(await read(to, key, entry), entry)) return true;
  throw new CredentialsBackendError(
    "backend_unproven",
    `Cannot migrate the entry "${printable(key)}": the target gave back another entry than was ` +
      `written. The source still has it. Repair the target, or use another one.`,
  );
}

/** Puts the only copy back where two backends lead to one store, by a link or two names. */
async function deleteFromSource(
  from: OidcCredentialsBackend,
  to: OidcCredentialsBackend,
  key: string,
  entry: OidcCredentials,
): Promise<void> {
  await guarded("delete", from, () => from.delete(key), entry);
  if (await read(to, key, entry) !== undefined) return;
  await guarded("write", to, () => to.put(key, entry), entry);
  throw new CredentialsBackendError(
    "invalid_options",
    `Cannot migrate credentials: deleting "${printable(key)}" from the source removed it from ` +
      `the target too, so they are one store. It was put back. Pass two different stores.`,
  );
}
