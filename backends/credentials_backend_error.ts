import { knowCopies, showCode } from "./common/error_class.ts";

/**
 * The failures of a store. Codes are stable over releases.
 *
 * | code | meaning |
 * |---|---|
 * | `permission_required` | Deno denies an access; the message names the flag |
 * | `backend_denied` | the operating system or the server refuses the access |
 * | `backend_auth_failed` | the store does not accept the login, or no longer accepts it |
 * | `backend_corrupt` | the store's content cannot be understood; nothing was changed |
 * | `backend_version` | a newer program wrote the store; it can be read but not written |
 * | `backend_locked` | another process holds the lock, or took it over |
 * | `backend_too_large` | the entry is larger than the store can hold |
 * | `backend_full` | no space is left |
 * | `backend_unavailable` | the store cannot be reached, or an operation failed for another reason |
 * | `backend_timeout` | the store did not answer within the time limit |
 * | `keychain_locked` | the OS keychain is locked |
 * | `decryption_failed` | an encrypted entry was changed, moved, or sealed with another key |
 * | `encryption_key_unknown` | an entry names an encryption key that was not given |
 * | `backend_unproven` | a write, read, delete round trip gave back something else |
 * | `backend_no_list` | the backend cannot list its keys |
 * | `unstable_kv_required` | Deno KV needs `--unstable-kv` |
 * | `home_unset` | the home directory is not known |
 * | `invalid_options` | an option is unknown or has a wrong value |
 * | `invalid_backend` | an object lacks `get`, `put` or `delete` |
 * | `invalid_permissions` | a backend declares something that is not a permission, or that no flag can hold |
 * | `backend_spec_invalid` | `VM_OIDC_CREDENTIALS_BACKEND` cannot be understood |
 * | `backend_import_unsupported` | a module address that Deno does not import from a package |
 * | `backend_import_failed` | the backend's module did not load |
 * | `backend_export_missing` | the module has no such export |
 * | `backend_not_constructible` | the export is not a class, or its constructor failed |
 * | `backend_kwargs_invalid` | `VM_OIDC_CREDENTIALS_BACKEND_KWARGS` is not one JSON object |
 * | `env_invalid` | another variable has a value that cannot be understood |
 * | `env_unset` | a `${NAME}` in the KWARGS is not set |
 * | `runtime_unsupported` | this Deno is older than 2.7.1, or this is Node or Bun |
 *
 * @category Errors
 */
export type CredentialsBackendErrorCode =
  | "permission_required"
  | "backend_denied"
  | "backend_auth_failed"
  | "backend_corrupt"
  | "backend_version"
  | "backend_locked"
  | "backend_too_large"
  | "backend_full"
  | "backend_unavailable"
  | "backend_timeout"
  | "keychain_locked"
  | "decryption_failed"
  | "encryption_key_unknown"
  | "backend_unproven"
  | "backend_no_list"
  | "unstable_kv_required"
  | "home_unset"
  | "invalid_options"
  | "invalid_backend"
  | "invalid_permissions"
  | "backend_spec_invalid"
  | "backend_import_unsupported"
  | "backend_import_failed"
  | "backend_export_missing"
  | "backend_not_constructible"
  | "backend_kwargs_invalid"
  | "env_invalid"
  | "env_unset"
  | "runtime_unsupported";

/**
 * The parts of an error, of which its message is made: "Cannot {action}: {reason}. {remedy}". None holds a
 * token or another secret.
 *
 * @category Errors
 */
export interface ErrorParts {
  /** Completes "Cannot …", such as "read credentials from /home/ann/.validmind/credentials.json". */
  action: string;
  /** Completes the sentence after the colon, without a full stop. */
  reason: string;
  /** The way on, in whole sentences. It names the file, host, variable or flag. */
  remedy: string;
  /** The underlying error. */
  cause?: unknown;
  /** The sign-out that leads out of the error, where one does: of one entry, or of the whole store. */
  signOut?: "entry" | "all" | undefined;
}

/**
 * A failure of a store. It never means "not signed in": `get` gives `undefined` for that.
 *
 * The message reads "Cannot X: reason. What to do." and names the file, host, variable or flag;
 * {@linkcode CredentialsBackendErrorCode} is for programs. Neither holds a token or another secret.
 *
 * @category Errors
 *
 * @example
 * ```ts
 * import { CredentialsBackendError, FileCredentialsBackend } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * try {
 *   new FileCredentialsBackend({ path: "" });
 * } catch (error) {
 *   if (!(error instanceof CredentialsBackendError)) throw error;
 *   assertEquals(error.code, "invalid_options");
 * }
 * ```
 */
export class CredentialsBackendError extends Error {
  static {
    knowCopies(this, "CredentialsBackendError");
  }

  /** The failure, for programs. */
  readonly code: CredentialsBackendErrorCode;
  /** The action that failed: it completes "Cannot …". */
  readonly action: string;
  /** The reason, as a part of a sentence without a full stop. */
  readonly reason: string;
  /** The way on, in whole sentences. */
  readonly remedy: string;
  /** The sign-out that leads out of the error, where one does: of one entry, or of the whole store. */
  declare readonly signOut?: "entry" | "all";

  /**
   * Makes an error.
   *
   * @param code The failure.
   * @param parts What failed, why, and what to do. A cause must hold no secret.
   */
  constructor(code: CredentialsBackendErrorCode, parts: ErrorParts) {
    super(messageOf(parts), causeOf(parts));
    this.code = code;
    this.action = parts.action;
    this.reason = parts.reason;
    this.remedy = parts.remedy;
    if (parts.signOut !== undefined) this.signOut = parts.signOut;
    showCode(this);
  }
}

/**
 * The message of an error by its parts. Deno prints it as it is: a settings file of another author, for
 * instance, must not reach the terminal by it.
 */
export function messageOf({ action, reason, remedy }: ErrorParts): string {
  return `Cannot ${action}: ${reason}. ${remedy}`.replace(/[^\P{C}\n]/gu, " ");
}

/** The options of an error by its parts: without a cause it has no such member. */
export function causeOf({ cause }: Pick<ErrorParts, "cause">): ErrorOptions | undefined {
  return cause === undefined ? undefined : { cause };
}

/**
 * The command that removes a stored entry, and the call for it, as every message names them. A store does
 * not know who made it, and the command finds none that a program makes.
 */
export const SIGN_OUT =
  "validmind-auth logout (for a store in code: clearOidcCredentials({ credentialsBackend }))";

/** The same for all entries of a store. */
export const SIGN_OUT_OF_ALL =
  "validmind-auth logout --all (for a store in code: clearOidcCredentials({ all: true, credentialsBackend }))";

/** The error for an entry that is not used, and that a sign-out removes. */
export function corruptEntry(
  action: string,
  reason: string,
  advice = "Remove it",
): CredentialsBackendError {
  return new CredentialsBackendError("backend_corrupt", {
    action,
    reason,
    remedy: `Nothing was changed. ${advice} with ${SIGN_OUT}.`,
    signOut: "entry",
  });
}
