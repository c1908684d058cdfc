/**
 * One permission that a call needs: a `Deno.PermissionDescriptor` with its reason.
 *
 * `need` is `always` for a permission that every start requires, `sign_in` for one that a sign-in or
 * a refresh requires (a start from a valid stored token does not), and `optional` for one that is
 * used if it is granted.
 *
 * @category Permissions
 */
export type PermissionNeed = Deno.PermissionDescriptor & {
  /** The purpose, as in "to …". */
  readonly reason: string;
  /** When it is required. */
  readonly need: "always" | "sign_in" | "optional";
};

/**
 * Options of `requiredPermissions`, beside the options of the call itself.
 *
 * @category Permissions
 */
export interface RequiredPermissionsOptions {
  /**
   * The call. `clear` means `clearOidcCredentials` of the same credentials; only the options for
   * identity and backend count for it.
   *
   * @default "init"
   */
  call?: "init" | "createSession" | "clear";
  /**
   * Whether `clear` also revokes the tokens.
   *
   * @default false
   */
  revoke?: boolean;
  /**
   * Whether to ask the provider for its endpoints, so that their hosts are included. Needs
   * `--allow-net` for the issuer's host.
   *
   * @default false
   */
  discover?: boolean;
}
