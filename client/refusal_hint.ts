const DEVICE_GRANT = "Enable the device code grant (device flow) and the refresh token grant " +
  "for this client.";
const SIGN_IN = "Sign in again.";

/** What to do about an OAuth error, by its code. */
const BY_CODE: Record<string, string> = {
  invalid_client:
    "Check the client id, that the device flow is enabled for it, and that it is a public client, or " +
    "clientSecret (VM_OIDC_CLIENT_SECRET) is its secret.",
  unauthorized_client: DEVICE_GRANT,
  unsupported_grant_type: DEVICE_GRANT,
  invalid_scope: "Check scope: ask only for what the provider knows for this client.",
  invalid_grant: SIGN_IN,
  bad_verification_code: SIGN_IN,
  interaction_required: SIGN_IN,
  login_required: SIGN_IN,
  consent_required: SIGN_IN,
  invalid_target: "Check audience: the provider does not know this API.",
  invalid_resource: "Check scope and audience: the provider does not know this API.",
  access_denied: "Sign in again, and approve; if a rule refuses it, ask who runs the provider.",
  authorization_declined: "Sign in again, and approve.",
  invalid_dpop_proof:
    "Check this computer's clock; a client that has to use DPoP needs dpop: true.",
  use_dpop_nonce: "Try again, then ask who runs the provider.",
  expired_token: "Sign in again, and approve before the code ends.",
};

/**
 * What to do about refusals that providers are known to describe better than by their code. Nothing
 * is decided by these words, which may change at any time: they only help the person who reads them.
 */
const BY_WORDS: [pattern: RegExp, hint: string][] = [
  // Microsoft Entra
  [
    /AADSTS7000218\b/,
    'Set "Allow public client flows" to Yes in the app registration, under Authentication.',
  ],
  [
    /AADSTS700016\b/,
    "Check the client id, and that the issuer is the tenant in which the app is registered.",
  ],
  [/AADSTS90002\b/, "Check the tenant in the issuer: Entra does not know it."],
  [
    /AADSTS50194\b/,
    "The app takes accounts of one tenant only: give that tenant's issuer, " +
    "https://login.microsoftonline.com/<tenant id>/v2.0.",
  ],
  [
    /AADSTS(50020|50034|90072)\b/,
    "Sign in with an account of this tenant, or have yours invited to it.",
  ],
  [/AADSTS50105\b/, "Have an administrator of the tenant assign you to the app."],
  [
    /AADSTS(65001|90094)\b/,
    "Have an administrator of the tenant consent to the app's permissions, then sign in again.",
  ],
  [
    /AADSTS530\d\d\b/,
    "A Conditional Access policy refuses it (many refuse the device flow): ask an administrator " +
    "of the tenant.",
  ],
  [/AADSTS(70011|650053)\b/, "Check scope: Entra does not know it for this API."],
  [
    /AADSTS(500011|50001)\b/,
    "Check scope: Entra does not know this API in the tenant, or it is switched off there.",
  ],
  // Auth0
  [
    /Grant type '[\w:-]*device_code' not allowed/i,
    "Enable the grant type Device Code in the Auth0 application's advanced settings.",
  ],
  [/^Service not found/i, "Check audience: Auth0 has no API with this identifier."],
  // Okta
  [
    /Policy evaluation failed/i,
    "Have an access policy of the Okta authorization server allow the device grant for this " +
    "client, and you be assigned to the app.",
  ],
  // Keycloak
  [
    /Device Authorization Grant.*(disabled|not allowed)|flow is disabled for the client/i,
    "Switch on OAuth 2.0 Device Authorization Grant in the Keycloak client's settings.",
  ],
  [
    /Invalid client or Invalid client credentials/i,
    "Check the client id, and that Client authentication is off in the Keycloak client's settings.",
  ],
  [
    /Offline tokens not allowed/i,
    "Leave offline_access out of scope, or have the role offline_access given to you in Keycloak.",
  ],
  // Google
  [
    /client_secret is missing/i,
    "Google gives such clients a secret, which has to be sent along: pass clientSecret, or set " +
    "VM_OIDC_CLIENT_SECRET.",
  ],
  [
    /Invalid (client type|device flow scope)/i,
    "Create a Google client of the type TVs and Limited Input devices, and ask only for the scope " +
    '"openid email profile".',
  ],
  [
    /offline_access/i,
    "Leave offline_access out of scope (VM_OIDC_SCOPE): this provider does not know it.",
  ],
  // PKCE
  [
    /code_challenge|PKCE/i,
    "Have the provider list S256 in code_challenge_methods_supported of its discovery document: " +
    "then PKCE is used.",
  ],
];

/** Whether an error's name is a word of the protocol, and so says nothing of what was sent. */
export function isProtocolError(code: string): boolean {
  return Object.hasOwn(BY_CODE, code) || code === "authorization_pending" || code === "slow_down";
}

/** What a person can do about an OAuth error that a provider answered. */
export function refusalHint(code: string, description = ""): string {
  const known = BY_WORDS.find(([pattern]) => pattern.test(description));
  return known?.[1] ?? BY_CODE[code] ?? "See the provider's documentation of this error.";
}
