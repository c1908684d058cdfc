import { ValidMindAuthError } from "./errors.ts";

/** What a refresh is answered where only the person can go on: RFC 6749, and OpenID Connect. */
const REFUSALS = ["invalid_grant", "interaction_required", "login_required", "consent_required"];

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
