import type { RefusalKind } from "../../../client/errors.ts";
import type { AskedFor } from "../../../client/provider/refusal.ts";

/**
 * An answer of a provider and its kind. The body is that of the answer; of a page it is the parameters of
 * the redirect. The source says where the answer was seen: `R` the RFC, `O` OpenID Core, `seen` in tests,
 * `mem` from memory, any other one a public text.
 */
export type RefusalRow = [
  at: AskedFor,
  status: number,
  body: Record<string, unknown> | string,
  kind: RefusalKind,
  source: string,
  hasProof?: boolean,
];

type Value = string | Record<string, unknown>;

/**
 * Rows by question, status, kind, error and source, and a mark for those with a proof of the client. The
 * values are the descriptions of the error; or the body, where the error is "-". Entra's errors have their
 * number before them, and may have a sub-error behind.
 */
function rows(table: Record<string, Value | Value[]>): RefusalRow[] {
  return Object.entries(table).flatMap(([key, values]) => {
    const [at, status, kind, error = "", source = "", proof] = key.split(" ");
    return [values].flat().map((value): RefusalRow => [
      at as AskedFor,
      Number(status),
      error === "-" || typeof value !== "string" ? value : bodyOf(error, value),
      kind as RefusalKind,
      source,
      proof !== undefined,
    ]);
  });
}

function bodyOf(parts: string, said: string): Record<string, unknown> {
  const [, code, error, suberror] = /^(?:(\d+):)?([^:]+)(?::(.+))?$/.exec(parts)!;
  const number = code && { error_codes: [Number(code)], ...(suberror && { suberror }) };
  const error_description = code ? `AADSTS${code}: ${said}` : said;
  return { error, ...(error_description && { error_description }), ...number };
}

/** The rows of the table of refusals, by provider. */
export const ROWS: Readonly<Record<string, readonly RefusalRow[]>> = {
  "RFC 6749, 8628, 8693, 9126, 9449": rows({
    "poll 400 wait authorization_pending R": "",
    "poll 400 wait slow_down R": "",
    "poll 400 denied access_denied R": "",
    "poll 400 over expired_token R": "",
    "refresh 400 over invalid_grant R": "",
    "refresh 401 client invalid_client R": "",
    "device 400 flow unauthorized_client R": "",
    "device 400 flow unsupported_grant_type R": "",
    "refresh 400 flow unauthorized_client R": "",
    "device 400 scope invalid_scope R": "",
    "refresh 400 refused invalid_request R": "",
    "page 400 fault server_error R": "",
    "page 400 fault temporarily_unavailable R": "",
    "exchange 400 refused invalid_target R": "",
    "exchange 400 refused invalid_request R": "subject_token is invalid",
    "refresh 400 client invalid_dpop_proof R": "",
    "refresh 400 client use_dpop_nonce R": "",
    "par 400 refused invalid_request R": "redirect_uri is not registered",
    "refresh 400 refused interaction_required O": "",
    "refresh 400 refused login_required O": "",
  }),
  "Entra ID": rows({
    "refresh 400 over 50173:invalid_grant:bad_token m1":
      "The provided grant has expired due to it being revoked",
    "refresh 400 over 50034:invalid_grant:bad_token m1":
      "The user account does not exist in the directory",
    "refresh 400 over 700082:invalid_grant:bad_token mem":
      "The refresh token has expired due to inactivity",
    "refresh 400 refused 700082:invalid_grant m5":
      "The refresh token has expired due to inactivity",
    "refresh 400 over 700084:invalid_grant:token_expired mem":
      "The refresh token was issued to a single page app",
    "refresh 400 over 70043:invalid_grant:token_expired m1":
      "The refresh token has expired or is invalid due to sign-in frequency checks",
    "refresh 400 refused 50076:invalid_grant:basic_action m1":
      "you must use multi-factor authentication",
    "refresh 400 refused - m1": [{
      error: "interaction_required",
      error_description: "AADSTS50076: you must use multi-factor authentication",
      error_codes: [50076],
      suberror: "basic_action",
      claims: "{}",
    }, {
      error: "interaction_required",
      error_description: "AADSTS53001: Device is not domain joined",
      error_codes: [53001],
      claims: "{}",
    }],
    "refresh 400 refused 50079:invalid_grant:basic_action mem":
      "you must enroll in multi-factor authentication",
    "refresh 400 refused 50158:invalid_grant:basic_action mem":
      "External security challenge not satisfied",
    "refresh 400 refused 53003:invalid_grant:message_only m1":
      "Access has been blocked by Conditional Access policies",
    "refresh 400 refused 53000:invalid_grant:message_only seen":
      "Device is not in required device state",
    "refresh 400 refused 530032:invalid_grant:message_only m3": "Blocked by security policy",
    "refresh 400 refused 53005:unauthorized_client:protection_policy_required m2":
      "Application needs to enforce Intune protection policies",
    "refresh 400 refused 70000:invalid_grant:client_mismatch m2":
      "Provided grant is invalid or malformed",
    "refresh 400 refused 65001:invalid_grant:consent_required m1":
      "The user or administrator has not consented to use the application",
    "refresh 400 refused 53002:invalid_grant:additional_action m4":
      "The device is required to be enrolled",
    "refresh 400 fault 50196:invalid_grant m6":
      "The server terminated an operation because it encountered a client request loop",
    "device 400 client 700016:unauthorized_client seen":
      "Application with identifier 'x' was not found in the directory 'y'",
    "refresh 401 client 7000215:invalid_client m1 proof": "Invalid client secret provided",
    "client 401 client 700027:invalid_client mem proof":
      "The certificate with identifier used to sign the client assertion is not registered",
    "poll 401 client 7000218:invalid_client seen":
      "The request body must contain: 'client_assertion' or 'client_secret'",
    "find 400 fault 90002:invalid_tenant seen": "Tenant 'x' not found",
    "device 400 scope 70011:invalid_scope m3":
      "The provided value for the input parameter 'scope' is not valid",
    "client 400 scope 70011:invalid_scope m3 proof": "The scope api://x is not valid",
    "poll 400 over 70019:expired_token m3": "Verification code expired",
    "poll 400 over 70020:expired_token mem": "The provided value for 'device_code' has expired",
    "poll 400 denied authorization_declined seen": "",
    "poll 400 denied 530033:access_denied mem":
      "Remote device flow blocked due to device-based conditional access",
    "page 400 denied 50105:access_denied seen":
      "Your administrator has configured the application to block users unless they are granted access",
    "page 400 denied - seen": {
      error: "access_denied",
      error_description: "the user canceled the authentication",
      error_subcode: "cancel",
    },
  }),
  "Okta": rows({
    "refresh 400 over invalid_grant mem": "The refresh token is invalid or expired.",
    "page 400 denied access_denied o1":
      "Policy evaluation failed for this request, please check the policy configurations.",
    "page 400 denied access_denied seen": "User is not assigned to the client application.",
    "client 400 denied access_denied mem proof": "Policy evaluation failed for this request",
    "device 400 flow unauthorized_client seen":
      "The client is not authorized to use the provided grant type.",
    "device 401 client - o3": {
      errorCode: "invalid_client",
      errorSummary: "Invalid value for 'client_id' parameter.",
    },
    "device 400 refused - seen": {
      errorCode: "E0000003",
      errorSummary: "The request body was not well-formed.",
    },
    "refresh 401 refused - mem": { errorCode: "E0000011", errorSummary: "Invalid token provided" },
    "device 405 fault - seen": {
      errorCode: "E0000022",
      errorSummary: "The endpoint does not support the provided HTTP method",
    },
    "refresh 429 fault - o2": {
      errorCode: "E0000047",
      errorSummary: "API call exceeded rate limit due to too many requests.",
    },
  }),
  "Auth0": rows({
    "refresh 403 over invalid_grant a1": "Unknown or invalid refresh token.",
    "device 403 flow unauthorized_client a2":
      "Grant type 'urn:ietf:params:oauth:grant-type:device_code' not allowed for the client.",
    "client 403 flow unauthorized_client mem proof":
      "Grant type 'client_credentials' not allowed for the client.",
    "device 403 client unauthorized_client mem": "Unknown client: x",
    "page 400 refused access_denied a3": "Service not found: https://api.example.com",
    "client 403 refused access_denied a4 proof":
      "Service not enabled within domain: https://sample.api.com",
    "refresh 403 refused mfa_required a5": "Multifactor authentication required",
    "refresh 403 fault too_many_attempts a6":
      "Your account has been blocked after multiple consecutive login attempts.",
    "page 400 denied unauthorized seen": "user is blocked",
  }),
  "Google": rows({
    "refresh 400 over invalid_grant g1": "Token has been expired or revoked.",
    "refresh 400 refused - g2": {
      error: "invalid_grant",
      error_description: "reauth related error (invalid_rapt)",
      error_subtype: "invalid_rapt",
    },
    "refresh 400 refused invalid_grant mem": "Account disabled",
    "poll 403 denied admin_policy_enforced g3": "",
    "poll 403 denied org_internal g3": "",
    "page 400 refused disallowed_useragent g3": "",
    "refresh 401 client deleted_client g4": "The OAuth client was deleted.",
    "device 401 client invalid_client mem": "The OAuth client was not found.",
    "device 400 scope invalid_scope seen": "Some requested scopes were invalid: [offline_access]",
    "device 403 fault - seen": { error_code: "rate_limit_exceeded" },
    "device 400 client - seen": {
      error: { code: 400, message: "Invalid client", status: "INVALID_ARGUMENT" },
    },
    "poll 428 wait authorization_pending seen": "Precondition Required",
  }),
  "Keycloak": rows({
    "refresh 400 over invalid_grant k1": [
      "Session not active",
      "Token is not active",
      "Stale token",
      "Offline session not active",
      "Offline user session not found",
      "Session doesn't have required client",
      "Invalid refresh token. Token client and authorized client don't match",
      "Maximum allowed refresh token reuse exceeded",
    ],
    "refresh 400 refused invalid_grant k1": "User disabled",
    "refresh 400 refused invalid_grant k6": "Account is not fully set up",
    "refresh 400 scope invalid_scope k1": "Client no longer has requested consent from user",
    "client 401 flow unauthorized_client k2 proof":
      "Client not enabled to retrieve service account",
    "device 400 flow unauthorized_client k3":
      "Client is not allowed to initiate OAuth 2.0 Device Authorization Grant. The flow is disabled for the client.",
    "refresh 401 client unauthorized_client seen proof":
      "Invalid client or Invalid client credentials",
    "device 400 client invalid_client k3": "Client disabled.",
    "device 400 refused not_allowed seen": "Offline tokens not allowed for the user or client",
    "poll 400 over invalid_grant k5": "Device code not valid",
    "exchange 400 refused invalid_client k7 proof": "Audience not found",
    "client 401 client invalid_client mem proof": "Audience of the JWT not found",
    "exchange 403 denied access_denied k4 proof": "Client is not the holder of the token",
    "device 400 client invalid_request seen": "DPoP proof is missing",
    "page 400 fault temporarily_unavailable seen": "authentication_expired",
    "refresh 404 fault - k8": { error: "Realm does not exist" },
  }),
  "Cognito, Ping, ADFS": rows({
    "refresh 400 over invalid_grant c1": "",
    "refresh 400 client invalid_client c2": "",
    "client 400 client unauthorized_client mem proof": "",
    "page 400 scope invalid_request seen": "invalid_scope",
    "device 400 client - seen": {
      __type: "ResourceNotFoundException",
      message: "User pool client does not exist",
    },
    "refresh 400 refused - c3": {
      __type: "NotAuthorizedException",
      message: "Invalid Refresh Token.",
    },
    "refresh 400 over invalid_grant p1": "unknown, invalid, or expired refresh token",
    "device 400 refused - seen": {
      id: "x",
      code: "INVALID_REQUEST",
      message: "The request could not be completed.",
      details: [],
    },
    "refresh 401 over invalid_grant d1":
      "MSIS9615: The refresh token received in refresh_token parameter has expired.",
    "refresh 401 client invalid_client d2": "MSIS9622: Client authentication failed.",
    "refresh 400 client invalid_grant d3 proof":
      "MSIS9622: Client authentication failed. Please verify the credential.",
    "page 400 refused invalid_resource mem":
      "MSIS9611: The client is not allowed to access the requested resource.",
  }),
  "Spring, Dex, Hydra, zitadel, django-oauth-toolkit, GitLab": rows({
    "refresh 400 denied access_denied s1": "",
    "device 400 scope invalid_scope seen": "OAuth 2.0 Parameter: scope",
    "refresh 400 refused invalid_request x1": [
      "Refresh token is invalid or has already been claimed by another client.",
      "Refresh token expired.",
    ],
    "refresh 400 over invalid_grant x1":
      "Refresh token is invalid or has already been claimed by another client.",
    "refresh 401 refused token_inactive h1":
      "Token is inactive because it is malformed, expired or otherwise invalid.",
    "client 400 flow unauthorized_client h2 proof":
      "The OAuth 2.0 Client is not allowed to use authorization grant 'client_credentials'.",
    "page 400 scope invalid_scope h2":
      "The OAuth 2.0 Client is not allowed to request scope 'offline_access'.",
    "device 400 client unauthorized_client seen proof": ["", "JWT assertion failed"],
    "device 400 flow unauthorized_client seen proof":
      "client missing grant type urn:ietf:params:oauth:grant-type:device_code",
    "refresh 401 client invalid_client seen proof": "",
    "device 400 flow invalid_request seen":
      "urn:ietf:params:oauth:grant-type:device_code is not allowed for this client",
    "refresh 401 over invalid_grant l1":
      "The provided authorization grant is invalid, expired, revoked, or was issued to another client.",
    "device 400 refused invalid_request seen": "Missing or invalid content type",
  }),
  "Salesforce, UAA, Curity, ForgeRock, Open Liberty": rows({
    "refresh 400 over invalid_grant f1": "expired access/refresh token",
    "refresh 400 refused invalid_grant mem": "inactive user",
    "refresh 400 client invalid_client f2": "invalid client credentials",
    "page 400 denied access-denied f1": "",
    "refresh 401 refused invalid_token u1": "Invalid refresh token (expired): x",
    "refresh 401 client unauthorized mem proof": "Bad credentials",
    "refresh 401 flow invalid_client u2": "Unauthorized grant type: refresh_token",
    "refresh 400 over invalid_grant mem": ["The refresh token was revoked", "grant is invalid"],
    "poll 403 wait authorization_pending r1": "The user has not yet completed authorization",
    "client 302 scope invalid_scope seen proof": "It is missing the required scope parameter.",
  }),
  "Glewlwyd, Canaille, LemonLDAP::NG, pyop": rows({
    "page 400 refused invalid_request seen": "consent in prompt",
    "client 400 scope scope_invalid seen proof": "",
    "device 403 flow unauthorized_client seen": "",
    "device 403 client unauthorized_client seen proof": "",
    "refresh 400 refused - seen": "",
    "client 403 client - seen proof": "",
    "revoke 401 refused - seen": "",
    "revoke 401 client invalid_client seen":
      "The client cannot authenticate with methods: ['client_secret_basic']",
  }),
  "Any": rows({
    "device 401 flow - seen": "",
    "device 401 client - seen proof": "",
    "refresh 401 refused - seen": "",
    "refresh 403 fault - seen": "<html>Forbidden</html>",
    "refresh 404 fault - seen": "<html>Not found</html>",
    "refresh 429 fault - seen": "",
    "refresh 429 fault invalid_grant seen": "",
    "refresh 500 fault invalid_grant seen": "",
    "refresh 503 fault - seen": "<html>down</html>",
    "refresh 302 fault - seen": "",
    "refresh 302 fault E1234 seen": "Moved",
    "refresh 200 fault - seen": "<html>Welcome to our Wi-Fi</html>",
    "refresh 403 refused - mem": { message: "Forbidden" },
    "refresh 200 over invalid_grant seen": "",
    "refresh 400 refused E1234 seen": "The session has ended",
    "refresh 400 refused <b>no</b> seen": "",
    "device 400 refused something_else seen": "",
  }),
};
