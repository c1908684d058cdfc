import type { ProviderKind } from "../provider.ts";

/** What people are told at zitadel/oidc. */
export const TOLD: ProviderKind["told"] = {
  "The person denies the request": {
    code: "device_code_denied",
    message:
      "Cannot sign in at {issuer}: the provider answered access_denied (The authorization request " +
      "was denied). Sign in again, and approve; if a rule refuses it, ask who runs the provider. If " +
      'the page refused the code by a policy, set flow: "browser" (VM_OIDC_FLOW).',
  },
  "The person denies the request in the browser": {
    code: "authorization_denied",
    message:
      "Cannot sign in at {issuer}: the provider answered access_denied (The authorization request " +
      "was denied). Sign in again, and approve; if a rule refuses it, ask who runs the provider.",
  },
  "A copied refresh token was used": {
    code: "login_required",
    message:
      "Cannot get a token for {issuer}: the provider ended the sign-in: it answered invalid_grant. " +
      "Sign in with\n" +
      "  deno run -A --no-config jsr:@validmind/auth/cli login --issuer {issuer} --client-id {client}\n" +
      "or with validmind-auth login and the same flags, or run init() in a notebook or a terminal.",
    cause:
      "Cannot refresh the sign-in at {issuer}: the provider answered invalid_grant. Sign in again.",
  },
  "The refresh after one whose answer was lost": {
    code: "login_required",
    message:
      "Cannot get a token for {issuer}: the provider ended the sign-in: it answered invalid_grant. " +
      "Sign in with\n" +
      "  deno run -A --no-config jsr:@validmind/auth/cli login --issuer {issuer} --client-id {client}\n" +
      "or with validmind-auth login and the same flags, or run init() in a notebook or a terminal.",
    cause:
      "Cannot refresh the sign-in at {issuer}: the provider answered invalid_grant. Sign in again.",
  },
  "An administrator has ended the session": {
    code: "login_required",
    message:
      "Cannot get a token for {issuer}: the provider ended the sign-in: it answered invalid_grant. " +
      "Sign in with\n" +
      "  deno run -A --no-config jsr:@validmind/auth/cli login --issuer {issuer} --client-id {client}\n" +
      "or with validmind-auth login and the same flags, or run init() in a notebook or a terminal.",
    cause:
      "Cannot refresh the sign-in at {issuer}: the provider answered invalid_grant. Sign in again.",
  },
  "The person's account is disabled": {
    code: "login_required",
    message:
      "Cannot get a token for {issuer}: the provider ended the sign-in: it answered invalid_grant. " +
      "Sign in with\n" +
      "  deno run -A --no-config jsr:@validmind/auth/cli login --issuer {issuer} --client-id {client}\n" +
      "or with validmind-auth login and the same flags, or run init() in a notebook or a terminal.",
    cause:
      "Cannot refresh the sign-in at {issuer}: the provider answered invalid_grant. Sign in again.",
  },
  "The provider does not know the client": {
    code: "provider_refused",
    message:
      "Cannot start the sign-in at {issuer}: the provider answered invalid_client. Check clientId " +
      "(VM_OIDC_CLIENT_ID), that the client is enabled, and that it is a public client; a " +
      "confidential one needs its secret (clientSecret, VM_OIDC_CLIENT_SECRET), key (clientKeyFile, " +
      "VM_OIDC_CLIENT_KEY_FILE) or assertion (clientAssertionFile, VM_OIDC_CLIENT_ASSERTION_FILE); " +
      "the variables are used only where VM_OIDC_ISSUER and VM_OIDC_CLIENT_ID name this client.",
  },
  "A confidential client has no secret": {
    code: "provider_refused",
    message:
      "Cannot start the sign-in at {issuer}: the provider answered invalid_client (invalid " +
      "client_id / client_secret). Check clientId (VM_OIDC_CLIENT_ID), that the client is enabled, " +
      "and that it is a public client; a confidential one needs its secret (clientSecret, " +
      "VM_OIDC_CLIENT_SECRET), key (clientKeyFile, VM_OIDC_CLIENT_KEY_FILE) or assertion " +
      "(clientAssertionFile, VM_OIDC_CLIENT_ASSERTION_FILE); the variables are used only where " +
      "VM_OIDC_ISSUER and VM_OIDC_CLIENT_ID name this client.",
  },
  "A confidential client has a wrong secret": {
    code: "provider_refused",
    message:
      "Cannot start the sign-in at {issuer}: the provider answered invalid_client (invalid " +
      "client_id / client_secret). Check clientId (VM_OIDC_CLIENT_ID), and that clientSecret " +
      "(VM_OIDC_CLIENT_SECRET, beside VM_OIDC_ISSUER and VM_OIDC_CLIENT_ID) is its secret and has " +
      "not ended. A public client takes none.",
  },
  "The client is disabled": {
    code: "provider_refused",
    message:
      "Cannot start the sign-in at {issuer}: the provider answered invalid_client. Check clientId " +
      "(VM_OIDC_CLIENT_ID), that the client is enabled, and that it is a public client; a " +
      "confidential one needs its secret (clientSecret, VM_OIDC_CLIENT_SECRET), key (clientKeyFile, " +
      "VM_OIDC_CLIENT_KEY_FILE) or assertion (clientAssertionFile, VM_OIDC_CLIENT_ASSERTION_FILE); " +
      "the variables are used only where VM_OIDC_ISSUER and VM_OIDC_CLIENT_ID name this client.",
  },
  "The client may not use the device flow": {
    code: "provider_refused",
    message: "Cannot sign in at {issuer}: the provider answered unauthorized_client (grant_type " +
      '"urn:ietf:params:oauth:grant-type:device_code" not allowed). Enable the device code grant ' +
      "(for the flow in the browser, the authorization code grant) and the refresh token grant for " +
      "this client.",
  },
  "A wrong secret, and nobody there": {
    code: "provider_unavailable",
    message:
      "Cannot use the answer of {endpoint}: the provider answered with status 500 (server_error: " +
      "the secret is not that of the client). Try again later, then ask who runs the provider, or a " +
      "proxy before it.",
  },
  "The issuer is given with https: and speaks http:": {
    code: "provider_unavailable",
    message:
      "Cannot reach https://{host}/.well-known/openid-configuration: the host does not speak https: " +
      "at that port. Check the issuer, the network and a proxy (HTTPS_PROXY, NO_PROXY), and try " +
      "again.",
  },
};
