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
