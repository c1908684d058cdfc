/**
 * One permission that a sign-in needs: a `Deno.PermissionDescriptor` with its reason.
 *
 * `need` is `always` for what no start can do without, `sign_in` for what only a sign-in or a refresh
 * needs (a start from a valid stored token does not), and `optional` for what is used where it is
 * granted and not missed where it is not.
 */
export type PermissionNeed = Deno.PermissionDescriptor & {
  /** What it is for, as in "to …". */
  readonly reason: string;
  /** When it is needed. */
  readonly need: "always" | "sign_in" | "optional";
};

/** Options of `requiredPermissions` beside those of the call itself. */
export interface RequiredPermissionsOptions {
  /**
   * Which call is meant. For `clear`, which is `clearOidcCredentials` of the same credentials, only
   * the options that say whose they are and where they are kept count.
   *
   * @default "init"
   */
  call?: "init" | "createSession" | "clear";
  /**
   * Whether `clear` also has the tokens revoked.
   *
   * @default false
   */
  revoke?: boolean;
  /**
   * Whether the provider is asked where its endpoints are, so that those on other hosts are named
   * too. Needs `--allow-net` for the issuer's host.
   *
   * @default false
   */
  discover?: boolean;
}
