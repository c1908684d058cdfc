/**
 * Options of `Session.clear`.
 *
 * @category Sign in
 */
export interface ClearOptions {
  /**
   * Whether to ask the provider to revoke the tokens (RFC 7009). A failure is reported, not thrown.
   *
   * @default false
   */
  revoke?: boolean;
}

/**
 * Outcome of a revocation.
 *
 * @category Sign in
 */
export type Revocation =
  | "not_requested"
  | "revoked"
  | "nothing_to_revoke"
  | "not_supported"
  | "failed";

/**
 * Result of clearing credentials. Holds no secret.
 *
 * @category Sign in
 */
export interface ClearResult {
  /** The keys of the removed entries. Empty if there were none. */
  readonly keys: readonly string[];
  /** Outcome of the revocation, if one was requested. */
  readonly revocation: Revocation;
  /** Why the revocation failed, for both tokens or for the access token alone, in words. */
  readonly reason?: string;
  /** Whether `all` removed the whole store because it was corrupt. */
  readonly wholeStore?: boolean;
}
