/** Options of {@linkcode EncryptedCredentialsBackend.rotate}. */
export interface RotateOptions {
  /**
   * Whether a new key is made first. Only for a key that is kept in a backend.
   *
   * @default false
   */
  newKey?: boolean;
  /** Ends the rotation between two entries. A later run goes on. */
  signal?: AbortSignal;
}

/** Result of a rotation, by credential key. Holds no secret. */
export interface RotationResult {
  /** Entries that were encrypted anew with the current key. */
  readonly resealed: readonly string[];
  /** Entries that had the current key already. */
  readonly kept: readonly string[];
}

/**
 * Encrypts each entry anew. An entry that cannot be read is reported at the end, so that the others
 * do not stay behind.
 *
 * @param reseal Encrypts one entry anew. It gives `undefined` for an entry that was removed meanwhile.
 */
export async function rotateEntries(
  keys: readonly string[],
  reseal: (key: string) => Promise<"resealed" | "kept" | undefined>,
  signal: AbortSignal | undefined,
): Promise<RotationResult> {
  const result = { resealed: [] as string[], kept: [] as string[] };
  const faults: unknown[] = [];
  for (const key of keys) {
    signal?.throwIfAborted();
    try {
      const outcome = await reseal(key);
      if (outcome !== undefined) result[outcome].push(key);
    } catch (error) {
      if (signal?.aborted) throw error;
      faults.push(error);
    }
  }
  if (faults.length > 0) throw faults[0];
  return result;
}
