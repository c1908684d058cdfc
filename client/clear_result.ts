/** Options of `Session.clear`. */
export interface ClearOptions {
  /**
   * Whether the provider is asked to revoke the tokens (RFC 7009). Best effort.
   *
   * @default false
   */
  revoke?: boolean;
}

/** What became of a revocation. */
export type Revocation =
  | "not_requested"
  | "revoked"
  | "nothing_to_revoke"
  | "not_supported"
  | "failed";

/** What clearing did. Holds no secret. */
export interface ClearResult {
  /** The keys of the entries that are gone. Empty when there were none. */
  readonly keys: readonly string[];
  /** What became of the revocation, if one was asked for. */
  readonly revocation: Revocation;
  /** Why the revocation did not succeed, or not for the access token, in words. */
  readonly reason?: string;
  /** Whether the whole store was removed because it could not be understood. */
  readonly wholeStore?: boolean;
}
