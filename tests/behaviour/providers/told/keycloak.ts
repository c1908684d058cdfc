import type { ProviderKind } from "../provider.ts";

/** What people are told at Keycloak. */
export const TOLD: ProviderKind["told"] = {
  "The person denies the request": {
    code: "device_code_denied",
    message:
      "Cannot sign in at {issuer}: the provider answered access_denied (The end user denied the " +
      "authorization request). Sign in again, and approve; if a rule refuses it, ask who runs the " +
      'provider. If the page refused the code by a policy, set flow: "browser" (VM_OIDC_FLOW).',
  },
  "A copied refresh token was used": {
    code: "login_required",
    message:
      "Cannot get a token for {issuer}: the provider ended the sign-in: it answered invalid_grant " +
      "(Session doesn't have required client). Sign in with\n" +
      "  deno run -A --no-config jsr:@validmind/auth/cli login --issuer {issuer} --client-id {client}\n" +
      "or with validmind-auth login and the same flags, or run init() in a notebook or a terminal.",
    cause:
      "Cannot refresh the sign-in at {issuer}: the provider answered invalid_grant (Session doesn't " +
      "have required client). Sign in again.",
  },
  "The refresh after one whose answer was lost": {
    code: "login_required",
    message:
      "Cannot get a token for {issuer}: the provider ended the sign-in: it answered invalid_grant " +
      "(Maximum allowed refresh token reuse exceeded). Sign in with\n" +
      "  deno run -A --no-config jsr:@validmind/auth/cli login --issuer {issuer} --client-id {client}\n" +
      "or with validmind-auth login and the same flags, or run init() in a notebook or a terminal.",
    cause:
      "Cannot refresh the sign-in at {issuer}: the provider answered invalid_grant (Maximum allowed " +
      "refresh token reuse exceeded). Sign in again.",
  },
  "An administrator has ended the session": {
    code: "login_required",
    message:
      "Cannot get a token for {issuer}: the provider ended the sign-in: it answered invalid_grant " +
      "(Offline user session not found). Sign in with\n" +
      "  deno run -A --no-config jsr:@validmind/auth/cli login --issuer {issuer} --client-id {client}\n" +
      "or with validmind-auth login and the same flags, or run init() in a notebook or a terminal.",
    cause:
      "Cannot refresh the sign-in at {issuer}: the provider answered invalid_grant (Offline user " +
      "session not found). Sign in again.",
  },
  "The person's account is disabled": {
    code: "login_required",
    message:
      "Cannot get a token for {issuer}: the provider ended the sign-in: it answered invalid_grant " +
      "(User disabled). Sign in with\n" +
      "  deno run -A --no-config jsr:@validmind/auth/cli login --issuer {issuer} --client-id {client}\n" +
      "or with validmind-auth login and the same flags, or run init() in a notebook or a terminal.",
    cause:
      "Cannot refresh the sign-in at {issuer}: the provider answered invalid_grant (User disabled). " +
      "Sign in again.",
  },
  "The provider does not know the client": {
    code: "provider_refused",
    message:
      "Cannot start the sign-in at {issuer}: the provider answered invalid_client (Invalid client " +
      "or Invalid client credentials). Check clientId (VM_OIDC_CLIENT_ID), that the client is " +
      "enabled, and that Client authentication is off in the Keycloak client's settings; a " +
      "confidential one needs its secret (clientSecret, VM_OIDC_CLIENT_SECRET), key (clientKeyFile, " +
      "VM_OIDC_CLIENT_KEY_FILE) or assertion (clientAssertionFile, VM_OIDC_CLIENT_ASSERTION_FILE); " +
      "the variables are used only where VM_OIDC_ISSUER and VM_OIDC_CLIENT_ID name this client.",
  },
  "A confidential client has no secret": {
    code: "provider_refused",
    message:
      "Cannot start the sign-in at {issuer}: the provider answered unauthorized_client (Invalid " +
      "client or Invalid client credentials). Check clientId (VM_OIDC_CLIENT_ID), that the client " +
      "is enabled, and that Client authentication is off in the Keycloak client's settings; a " +
      "confidential one needs its secret (clientSecret, VM_OIDC_CLIENT_SECRET), key (clientKeyFile, " +
      "VM_OIDC_CLIENT_KEY_FILE) or assertion (clientAssertionFile, VM_OIDC_CLIENT_ASSERTION_FILE); " +
      "the variables are used only where VM_OIDC_ISSUER and VM_OIDC_CLIENT_ID name this client.",
  },
  "A confidential client has a wrong secret": {
    code: "provider_refused",
    message:
      "Cannot start the sign-in at {issuer}: the provider answered unauthorized_client (Invalid " +
      "client or Invalid client credentials). Check clientId (VM_OIDC_CLIENT_ID), and that " +
      "clientSecret (VM_OIDC_CLIENT_SECRET, beside VM_OIDC_ISSUER and VM_OIDC_CLIENT_ID) is its " +
      "secret and has not ended. A public client takes none.",
  },
  "The client is disabled": {
    code: "provider_refused",
    message:
      "Cannot start the sign-in at {issuer}: the provider answered invalid_client (Invalid client " +
      "or Invalid client credentials). Check clientId (VM_OIDC_CLIENT_ID), that the client is " +
      "enabled, and that Client authentication is off in the Keycloak client's settings; a " +
      "confidential one needs its secret (clientSecret, VM_OIDC_CLIENT_SECRET), key (clientKeyFile, " +
      "VM_OIDC_CLIENT_KEY_FILE) or assertion (clientAssertionFile, VM_OIDC_CLIENT_ASSERTION_FILE); " +
      "the variables are used only where VM_OIDC_ISSUER and VM_OIDC_CLIENT_ID name this client.",
  },
  "The client may not use the device flow": {
    code: "provider_refused",
    message:
      "Cannot start the sign-in at {issuer}: the provider answered unauthorized_client (Client is " +
      "not allowed to initiate OAuth 2.0 Device Authorization Grant. The flow is disabled for the " +
      "client). Switch on OAuth 2.0 Device Authorization Grant in the Keycloak client's settings, " +
      'or set flow: "browser" (VM_OIDC_FLOW).',
  },
  "The person denies the request in the browser": {
    code: "authorization_denied",
    message:
      "Cannot sign in at {issuer}: the provider answered access_denied. Sign in again, and approve; " +
      "if a rule refuses it, ask who runs the provider.",
  },
  "The client has to use DPoP": {
    code: "provider_refused",
    message:
      "Cannot sign in at {issuer}: the provider answered invalid_request (DPoP proof is missing). " +
      "The client has to use DPoP: set dpop: true, or have DPoP switched off for it.",
  },
  "The clock is off, with DPoP": {
    code: "provider_refused",
    message:
      "Cannot sign in at {issuer}: the provider answered invalid_request (DPoP proof is not " +
      "active). Check this computer's clock: DPoP proofs last seconds.",
  },
  "A wrong secret, and nobody there": {
    code: "provider_refused",
    message: "Cannot get a token at {issuer}: the provider refused the client: it answered " +
      "unauthorized_client (Invalid client or Invalid client credentials). Check clientId " +
      "(VM_OIDC_CLIENT_ID), and that clientSecret (VM_OIDC_CLIENT_SECRET, beside VM_OIDC_ISSUER and " +
      "VM_OIDC_CLIENT_ID) is its secret and has not ended. A public client takes none.",
  },
  "The issuer is given with https: and speaks http:": {
    code: "provider_unavailable",
    message:
      "Cannot reach https://{host}/realms/matrix/.well-known/openid-configuration: the host does " +
      "not speak https: at that port. Check the issuer, the network and a proxy (HTTPS_PROXY, " +
      "NO_PROXY), and try again.",
  },
  "The client may not use the flow in the browser": {
    code: "provider_refused",
    message:
      "Cannot sign in at {issuer}: the provider answered unauthorized_client (Client is not allowed " +
      "to initiate browser login with given response_type. Standard flow is disabled for the " +
      'client). Switch on Standard flow in the Keycloak client\'s settings, or set flow: "device" ' +
      "(VM_OIDC_FLOW).",
  },
  "The ID token is signed by a secret": {
    code: "id_token_invalid",
    message:
      "Cannot sign in at {issuer}: the ID token failed its checks: it is signed by a secret (HS256, " +
      "a symmetric algorithm). Have the provider sign the ID tokens of this client with RS256, " +
      "ES256 or another algorithm with a public key, as its discovery document states it.",
  },
  "The person may not have offline_access": {
    code: "provider_refused",
    message:
      "Cannot sign in at {issuer}: the provider answered not_allowed (Offline tokens not allowed " +
      "for the user or client). Leave offline_access out of scope, or have the role offline_access " +
      "given to you in Keycloak.",
  },
  "An administrator has ended all tokens of the client": {
    code: "login_required",
    message:
      "Cannot get a token for {issuer}: the provider ended the sign-in: it answered invalid_grant " +
      "(Stale token). Sign in with\n" +
      "  deno run -A --no-config jsr:@validmind/auth/cli login --issuer {issuer} --client-id {client}\n" +
      "or with validmind-auth login and the same flags, or run init() in a notebook or a terminal.",
    cause:
      "Cannot refresh the sign-in at {issuer}: the provider answered invalid_grant (Stale token). " +
      "Sign in again.",
  },
  "The realm requires HTTPS": {
    code: "provider_unavailable",
    message:
      "Cannot use the answer of {endpoint}: the provider answered with status 403 (invalid_request: " +
      "HTTPS required). Give the issuer with https:. Keycloak behind a proxy needs its option " +
      "proxy-headers.",
  },
  "The client has to push its requests": {
    code: "provider_refused",
    message:
      "Cannot sign in at {issuer}: the provider answered invalid_request (Pushed Authorization " +
      "Request is only allowed). The client may send its request ahead only (RFC 9126), and the " +
      "discovery document does not say so: have require_pushed_authorization_requests set there, or " +
      "the demand taken from the client.",
  },
};
