/** A fault that a person may meet, by its name in the tests. */
export type Fault = keyof typeof TOLD;

/** The code of the error that a person gets, and the words of its message from which to act. */
export interface Told {
  readonly code: string;
  readonly words: readonly string[];
}

const SECRET = "clientSecret (VM_OIDC_CLIENT_SECRET)";

/** What people are told at every kind of provider that does not state its own. */
export const TOLD = {
  "The person denies the request": told("device_code_denied", "access_denied", "Sign in again"),
  "The person denies the request in the browser": told("authorization_denied", "access_denied"),
  "Nobody approves the code": told("device_code_expired", "nobody approved", "Sign in again"),
  "The issuer's path is wrong": told("provider_invalid", "/nowhere", "Check the issuer"),
  "The issuer is given with https: and speaks http:": told(
    "provider_unavailable",
    "does not speak https:",
  ),
  "The provider does not know the client": told("provider_refused", "Check clientId", SECRET),
  "A confidential client has no secret": told("provider_refused", SECRET),
  "A confidential client has a wrong secret": told("provider_refused", `${SECRET} is its secret`),
  "A wrong secret, and nobody there": told("provider_refused", `${SECRET} is its secret`),
  "The client is disabled": told("provider_refused", "that the client is enabled"),
  "The client may not use the device flow": told("provider_refused", "the device code grant"),
  "The client may not use the flow in the browser": told("provider_refused", 'flow: "device"'),
  "The ID token is signed by a secret": told("id_token_invalid", "HS256", "RS256"),
  "The person may not have offline_access": told("provider_refused", "Leave offline_access out"),
  "The client has to push its requests": told("provider_refused", "RFC 9126"),
  "The realm requires HTTPS": told("provider_unavailable", "HTTPS required"),
  "An administrator has ended all tokens of the client": told("login_required", "invalid_grant"),
  "The client has to use DPoP": told("provider_refused", "dpop: true"),
  "The clock is off, with DPoP": told("provider_refused", "this computer's clock"),
  "A copied refresh token was used": told("login_required", "invalid_grant", "Sign in with"),
  "The answer to a refresh is lost": told("provider_unavailable", "broke off"),
  "The refresh after one whose answer was lost": told("login_required", "invalid_grant"),
  "An administrator has ended the session": told("login_required", "invalid_grant"),
  "The person's account is disabled": told("login_required", "invalid_grant"),
  "The provider refuses connections": told("provider_unavailable", "nothing answers"),
  "The provider does not answer": told("provider_unavailable", "within 1000 ms"),
  "A load balancer answers in the provider's place": told("provider_unavailable", "status 503"),
};

export function told(code: string, ...words: string[]): Told {
  return { code, words };
}
