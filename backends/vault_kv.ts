/** A secret's content; `data` is `undefined` where there is none. */
export interface VaultSecret {
  readonly data: Record<string, unknown> | undefined;
  /** What has to be the latest for a write to happen; 0 where nothing was ever written. */
  readonly version: number;
}

/** What a request is for. */
export interface VaultUse {
  /** As in "Cannot {action} Vault …". */
  readonly action: string;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
}

/** One folder of a KV secrets engine, of either version. */
export interface VaultKv {
  /** Whether a write can be made to depend on a version. */
  readonly hasCheckAndSet: boolean;
  read(name: string, use: VaultUse): Promise<VaultSecret>;
  /** The secret's new version, or `undefined` when `version` was not the latest any more. */
  write(
    name: string,
    data: Record<string, unknown>,
    version: number,
    use: VaultUse,
  ): Promise<number | undefined>;
  /** Sees to it that no earlier versions of a secret are kept; `version` is its latest. */
  forgetVersions(name: string, version: number, use: VaultUse): Promise<void>;
  /** Removes a secret with all its versions. */
  remove(name: string, use: VaultUse): Promise<void>;
  list(use: VaultUse): Promise<string[]>;
}
