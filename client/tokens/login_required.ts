import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import { ValidMindAuthError } from "../errors.ts";
import { DEFAULT_SCOPE, type OidcIdentity } from "../options/identity.ts";

/** The OAuth errors of a refresh after which only the person can go on. */
const REFUSALS = ["invalid_grant", "interaction_required", "login_required", "consent_required"];

/** The reason of an entry whose tokens cannot be used for lack of their key. */
export const NO_KEY = "the key of the stored tokens is missing or damaged";
/** The reason of an entry that cannot be refreshed. */
export const NO_REFRESH_TOKEN = "the token has ended and there is no refresh token";

/**
 * The error where a person has to sign in and is not asked. It names the ways to do so: the command
 * line, where that leads to the same store, and this module in a notebook or a terminal.
 */
export function loginRequired(
  identity: OidcIdentity,
  backend: OidcCredentialsBackend,
  reason: string,
  cause?: Error,
): ValidMindAuthError {
  return new ValidMindAuthError(
    "login_required",
    `Cannot get a token for ${identity.issuer}: ${reason}. ${advice(identity, backend)}`,
    { cause },
  );
}

function advice(
  { issuer, clientId, audience, profile, dpop, scope }: OidcIdentity,
  { persistent }: OidcCredentialsBackend,
): string {
  const here = "init() in a notebook or a terminal";
  if (persistent === false) return `Nothing is stored beyond this process: run ${here}.`;
  const options = {
    issuer,
    "client-id": clientId,
    ...(audience !== undefined && { audience }),
    ...(profile !== undefined && { profile }),
    ...(scope !== DEFAULT_SCOPE && { scope }),
  };
  const flags = Object.entries(options).map(([name, value]) => ` --${name} ${quote(value)}`);
  return `Sign in with\n  deno run -A jsr:@validmind/auth/cli login${flags.join("")}${
    dpop ? " --dpop" : ""
  }\n` +
    `or run ${here}.`;
}

/**
 * An argument for a shell. It is in double quotes, which the shell of Windows knows too, where nothing
 * in it is special.
 */
function quote(value: string): string {
  if (/^[\w\-./:=@%+,]+$/.test(value)) return value;
  return /["$`\\!]/.test(value) ? `'${value.replaceAll("'", `'\\''`)}'` : `"${value}"`;
}

/** Whether the provider refused the refresh, which is the one definite answer. */
export function isRefusal(error: unknown): error is ValidMindAuthError & { answer?: string } {
  return error instanceof ValidMindAuthError && REFUSALS.includes(error.oauthError ?? "");
}

/** The error for an identity whose bearer is the ID token, without a valid one. */
export function noIdToken(issuer: string): ValidMindAuthError {
  return new ValidMindAuthError(
    "id_token_missing",
    `Cannot get a token for ${issuer}: the ID token is to be the bearer, and the provider gave ` +
      `none that is valid. Ask for the scope "openid", or set bearer: "access_token".`,
  );
}
