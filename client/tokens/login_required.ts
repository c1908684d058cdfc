import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import { ValidMindAuthError } from "../errors.ts";
import { DEFAULT_SCOPE } from "../options/resolve_identity.ts";
import type { OidcIdentity } from "../options/identity.ts";

/** What a refresh is answered where only the person can go on: RFC 6749, and OpenID Connect. */
const REFUSALS = ["invalid_grant", "interaction_required", "login_required", "consent_required"];

/**
 * A person has to sign in, and is not asked. Tells how it can be done: by the command line, where
 * that leads to the same store, and by this module in a notebook or a terminal.
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

/** For a shell; in double quotes, which that of Windows knows too, where nothing in them is special. */
function quote(value: string): string {
  if (/^[\w\-./:=@%+,]+$/.test(value)) return value;
  return /["$`\\!]/.test(value) ? `'${value.replaceAll("'", `'\\''`)}'` : `"${value}"`;
}

/** Whether the provider refused the refresh: the one definite answer. */
export function isRefusal(error: unknown): error is ValidMindAuthError {
  return error instanceof ValidMindAuthError && REFUSALS.includes(error.oauthError ?? "");
}

/** The ID token is the bearer, and there is none. */
export function noIdToken(issuer: string): ValidMindAuthError {
  return new ValidMindAuthError(
    "id_token_missing",
    `Cannot get a token for ${issuer}: the ID token is to be the bearer, and the provider gave ` +
      `none that is valid. Ask for the scope "openid", or set bearer: "access_token".`,
  );
}
