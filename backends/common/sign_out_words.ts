/** The call that removes a stored entry, and the command for it, as every message names them. */
export const SIGN_OUT = "clearOidcCredentials() (validmind-auth logout)";

/** The same for all entries of a store. */
export const SIGN_OUT_OF_ALL = "clearOidcCredentials({ all: true }) (validmind-auth logout --all)";
