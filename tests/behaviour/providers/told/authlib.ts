import type { ProviderKind } from "../provider.ts";

/** What people are told at Authlib. */
export const TOLD: ProviderKind["told"] = {
  "The person denies the request": {
    code: "device_code_denied",
    message:
      "Cannot sign in at {issuer}: the provider answered access_denied (The resource owner or " +
      "authorization server denied the request). Sign in again, and approve; if a rule refuses it, " +
      'ask who runs the provider. If the page refused the code by a policy, set flow: "browser" ' +
      "(VM_OIDC_FLOW).",
  },
  "The person denies the request in the browser": {
    code: "authorization_denied",
    message:
      "Cannot sign in at {issuer}: the provider answered access_denied (The resource owner or " +
      "authorization server denied the request). Sign in again, and approve; if a rule refuses it, " +
      "ask who runs the provider.",
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
    code: "provider_refused",
    message:
      "Cannot refresh the sign-in at {issuer}: the provider answered invalid_request (There is no " +
      "'user' for this token). Your account may be switched off there: ask who runs the provider.",
  },
  "The provider does not know the client": {
    code: "provider_refused",
    message:
      "Cannot start the sign-in at {issuer}: the provider answered invalid_client (The client does " +
      "not exist on this server). Check clientId (VM_OIDC_CLIENT_ID), that the client is enabled, " +
      "and that it is a public client; a confidential one needs its secret (clientSecret, " +
      "VM_OIDC_CLIENT_SECRET), key (clientKeyFile, VM_OIDC_CLIENT_KEY_FILE) or assertion " +
      "(clientAssertionFile, VM_OIDC_CLIENT_ASSERTION_FILE); the variables are used only where " +
      "VM_OIDC_ISSUER and VM_OIDC_CLIENT_ID name this client.",
  },
  "A confidential client has no secret": {
    code: "provider_refused",
    message:
      "Cannot start the sign-in at {issuer}: the provider answered invalid_client (The client " +
      "cannot authenticate with methods: ['client_secret_basic', 'client_secret_post', " +
      "'private_key_jwt', 'none']). Check clientId (VM_OIDC_CLIENT_ID), that the client is " +
      "enabled, and that it is a public client; a confidential one needs its secret (clientSecret, " +
      "VM_OIDC_CLIENT_SECRET), key (clientKeyFile, VM_OIDC_CLIENT_KEY_FILE) or assertion " +
      "(clientAssertionFile, VM_OIDC_CLIENT_ASSERTION_FILE); the variables are used only where " +
      "VM_OIDC_ISSUER and VM_OIDC_CLIENT_ID name this client.",
  },
  "A confidential client has a wrong secret": {
    code: "provider_refused",
    message:
      "Cannot start the sign-in at {issuer}: the provider answered invalid_client (The client " +
      "cannot authenticate with methods: ['client_secret_basic', 'client_secret_post', " +
      "'private_key_jwt', 'none']). Check clientId (VM_OIDC_CLIENT_ID), and that clientSecret " +
      "(VM_OIDC_CLIENT_SECRET, beside VM_OIDC_ISSUER and VM_OIDC_CLIENT_ID) is its secret and has " +
      "not ended. A public client takes none.",
  },
  "The client is disabled": {
    code: "provider_refused",
    message:
      "Cannot start the sign-in at {issuer}: the provider answered invalid_client (The client does " +
      "not exist on this server). Check clientId (VM_OIDC_CLIENT_ID), that the client is enabled, " +
      "and that it is a public client; a confidential one needs its secret (clientSecret, " +
      "VM_OIDC_CLIENT_SECRET), key (clientKeyFile, VM_OIDC_CLIENT_KEY_FILE) or assertion " +
      "(clientAssertionFile, VM_OIDC_CLIENT_ASSERTION_FILE); the variables are used only where " +
      "VM_OIDC_ISSUER and VM_OIDC_CLIENT_ID name this client.",
  },
  "The client may not use the device flow": {
    code: "provider_refused",
    message:
      "Cannot sign in at {issuer}: the provider answered unauthorized_client (The client is not " +
      "authorized to use 'response_type=urn:ietf:params:oauth:grant-type:device_code'). Enable the " +
      "device code grant (for the flow in the browser, the authorization code grant) and the " +
      "refresh token grant for this client.",
  },
  "A wrong secret, and nobody there": {
    code: "provider_refused",
    message:
      "Cannot get a token at {issuer}: the provider refused the client: it answered invalid_client " +
      "(The client cannot authenticate with methods: ['client_secret_basic', 'client_secret_post', " +
      "'private_key_jwt', 'none']). Check clientId (VM_OIDC_CLIENT_ID), and that clientSecret " +
      "(VM_OIDC_CLIENT_SECRET, beside VM_OIDC_ISSUER and VM_OIDC_CLIENT_ID) is its secret and has " +
      "not ended. A public client takes none.",
  },
  "The issuer is given with https: and speaks http:": {
    code: "provider_unavailable",
    message:
      "Cannot reach https://{host}/.well-known/openid-configuration: the host does not speak https: " +
      "at that port. Check the issuer, the network and a proxy (HTTPS_PROXY, NO_PROXY), and try " +
      "again.",
  },
};
