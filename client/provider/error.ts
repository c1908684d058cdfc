import * as oauth from "oauth4webapi";
import { parseRetryAfter, printable } from "../../backends/common/printable.ts";
import { redact } from "../../backends/common/redact.ts";
import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";
import {
  ProviderUnavailableError,
  ValidMindAuthError,
  type ValidMindAuthErrorCode,
} from "../errors.ts";
import { isEntraIssuer } from "../entry.ts";

const DEVICE_GRANT = "Enable the device code grant (for the flow in the browser, the " +
  "authorization code grant) and the refresh token grant for this client.";
/** Limit of an error's words, of which people see 200 characters. */
export const LONGEST_WORDS = 2000;
const SIGN_IN = "Sign in again.";
const PROOF = "a confidential one needs its secret (clientSecret, VM_OIDC_CLIENT_SECRET), key " +
  "(clientKeyFile, VM_OIDC_CLIENT_KEY_FILE) or assertion (clientAssertionFile, " +
  "VM_OIDC_CLIENT_ASSERTION_FILE); the variables are used only where VM_OIDC_ISSUER and " +
  "VM_OIDC_CLIENT_ID name this client";
/** Words by which some providers refuse a client's proof under another code. */
const OF_PROOF = /client (credentials|secret|authentication|assertion)\b/i;

/** The codes of oauth4webapi for an ID token that failed a check. */
const ID_TOKEN_CODES: unknown[] = [
  oauth.JWT_CLAIM_COMPARISON,
  oauth.JWT_TIMESTAMP_CHECK,
  oauth.KEY_SELECTION,
];

/** The advice for an OAuth error, by its code. */
const BY_CODE = new Map(Object.entries({
  invalid_client:
    `Check clientId (VM_OIDC_CLIENT_ID), that the client is enabled, and that it is a public client; ` +
    `${PROOF}.`,
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
}));

/**
 * The advice for refusals that providers describe better in words than by their code. Nothing is
 * decided by these words, which may change at any time. They only help the reader.
 */
const BY_WORDS: [pattern: RegExp, hint: string, isForPublic?: true][] = [
  // Keycloak and oidc-provider, where the demand is on the client. Nothing tells a client of it.
  [
    /\bpushed authorization request\b/i,
    "The client may send its request ahead only (RFC 9126), and the discovery document does not say " +
    "so: have require_pushed_authorization_requests set there, or the demand taken from the client.",
  ],
  // Microsoft Entra
  [
    /AADSTS7000218\b/,
    'Set "Allow public client flows" to Yes in the app registration, under Authentication.',
    true,
  ],
  [/AADSTS700025\b/, "The client is a public one: give it no secret, key or assertion."],
  [
    /AADSTS700016\b/,
    "Check clientId (VM_OIDC_CLIENT_ID), and that the issuer is the tenant in which the app is registered.",
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
    'A Conditional Access policy refuses it. Many refuse the device flow only: set flow: "browser" ' +
    "(VM_OIDC_FLOW), or ask an administrator of the tenant.",
  ],
  [/AADSTS(70011|650053)\b/, "Check scope: Entra does not know it for this API."],
  [
    /AADSTS(500011|50001)\b/,
    "Check scope: Entra does not know this API in the tenant, or it is switched off there.",
  ],
  // oidc-provider
  [
    /grant-type:device_code is not allowed for this client/i,
    'Enable the device code grant for this client, or set flow: "browser" (VM_OIDC_FLOW).',
  ],
  [/requested grant type is not allowed for this client/i, DEVICE_GRANT, true],
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
    /Standard flow is disabled/i,
    'Switch on Standard flow in the Keycloak client\'s settings, or set flow: "device" (VM_OIDC_FLOW).',
  ],
  [
    /Device Authorization Grant.*(disabled|not allowed)|flow is disabled for the client/i,
    "Switch on OAuth 2.0 Device Authorization Grant in the Keycloak client's settings, or set " +
    'flow: "browser" (VM_OIDC_FLOW).',
  ],
  [
    /Invalid client or Invalid client credentials/i,
    "Check clientId (VM_OIDC_CLIENT_ID), that the client is enabled, and that Client authentication is " +
    `off in the Keycloak client's settings; ${PROOF}.`,
    true,
  ],
  [
    /DPoP proof is missing/i,
    "The client has to use DPoP: set dpop: true, or have DPoP switched off for it.",
  ],
  [/DPoP proof.*not active/i, "Check this computer's clock: DPoP proofs last seconds."],
  [
    /HTTPS required/i,
    "Give the issuer with https:. Keycloak behind a proxy needs its option proxy-headers.",
  ],
  [
    /Offline tokens not allowed/i,
    "Leave offline_access out of scope, or have the role offline_access given to you in Keycloak.",
  ],
  [
    /client (is |has been )?(disabled|not enabled|not active|inactive)/i,
    "Have the client enabled at the provider, where it is switched off.",
  ],
  // zitadel/oidc
  [/\bclient (was )?not found|no such client/i, "Check clientId (VM_OIDC_CLIENT_ID)."],
  // Authlib
  [
    /no 'user' for this token/i,
    "Your account may be switched off there: ask who runs the provider.",
  ],
  // Google
  [
    /client_secret is missing/i,
    "Google gives such clients a secret, which has to be sent along: pass clientSecret, or set " +
    "VM_OIDC_CLIENT_SECRET beside VM_OIDC_ISSUER and VM_OIDC_CLIENT_ID.",
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

/** The provider answered with an OAuth error. */
export class ProviderRefusedError extends ValidMindAuthError {
  /** The error code and the words of the provider. */
  readonly answer: string;
  /** The pause that the provider asked for, in milliseconds. */
  readonly retryAfterMs?: number;

  constructor(
    message: string,
    oauthError: string,
    { answer = oauthError, retryAfterMs }: { answer?: string; retryAfterMs?: number | undefined },
  ) {
    super("provider_refused", message, { oauthError });
    this.answer = answer;
    if (retryAfterMs !== undefined) this.retryAfterMs = retryAfterMs;
  }
}

/** Whether a refusal is about the proof of the client. No other flow helps then. */
export function isOfProof(error: unknown): boolean {
  return error instanceof ProviderRefusedError && OF_PROOF.test(error.answer);
}

/** Words for the refusals of one grant, and of one client. */
export interface RefusalWords {
  /** Precedes the provider's answer, in place of "the provider answered". */
  readonly reason?: string;
  /** The advice for some OAuth errors, by their codes. */
  readonly advice?: Readonly<Record<string, string>>;
  /** The errors beside `invalid_client` that some providers answer to a client's proof. */
  readonly proofErrors?: readonly string[];
  /** The advice where the client's own proof is refused. */
  readonly ofClient?: string;
}

/**
 * The coded error for a failure at the provider. oauth4webapi's own error never becomes the cause,
 * since it carries the answer with its tokens.
 *
 * @param action The failed action, as in "Cannot {action} at {issuer}".
 */
export function providerError(
  action: string,
  issuer: string,
  error: unknown,
  words: RefusalWords = {},
): Error {
  if (error instanceof ValidMindAuthError || error instanceof CredentialsBackendError) return error;
  if (error instanceof oauth.ResponseBodyError) return refused(action, issuer, error, words);
  const [code, reason, advice] = explain(issuer, error);
  return new ValidMindAuthError(code, `Cannot ${action} at ${issuer}: ${reason}. ${advice}`);
}

/**
 * The error of a provider's answer in the browser: RFC 6749, section 4.1.2.1.
 *
 * @param secrets Values of the answer that its words must not show.
 */
export function authorizationRefusal(
  issuer: string,
  { code, words = "" }: { code: string; words?: string | undefined },
  secrets: readonly string[],
  own: RefusalWords = {},
): ValidMindAuthError {
  const error_description = redact(words.slice(0, LONGEST_WORDS), secrets);
  const error = /^[\w.-]{1,60}$/.test(code) ? code : "an error without a proper name";
  const refusal = refused("sign in", issuer, { error, error_description }, own);
  const isFault = code === "server_error" || code === "temporarily_unavailable";
  return isFault ? new ProviderUnavailableError(refusal.message) : refusal;
}

function refused(
  action: string,
  issuer: string,
  error: Pick<oauth.ResponseBodyError, "error" | "error_description"> & {
    response?: Response;
  },
  { reason = "the provider answered", advice = {}, proofErrors = [], ofClient }: RefusalWords = {},
): ProviderRefusedError {
  const name = printable(error.error, 60);
  const words = typeof error.error_description === "string"
    ? printable(error.error_description).replace(/\.$/, "")
    : "";
  const answer = `${name}${words && ` (${words})`}`;
  const isOfProof = name === "invalid_client" || OF_PROOF.test(words);
  const isProof = isOfProof || (proofErrors.includes(name) && !/grant type/i.test(words));
  // zitadel/oidc refuses a wrong secret so, without a word.
  const isEither = name === "unauthorized_client" && words === "" && ofClient !== undefined;
  const own = [
    // A refused secret says nothing about the grant.
    !(isOfProof && ofClient) && Object.hasOwn(advice, name) && advice[name],
    (isProof || isEither) && ofClient,
    isEither && !Object.hasOwn(advice, name) && DEVICE_GRANT,
  ].filter(Boolean);
  const hint = refusalHint(name, words, own.length === 0 ? undefined : own.join(" "));
  return new ProviderRefusedError(
    `Cannot ${action} at ${issuer}: ${reason} ${answer}. ${hint}`,
    name,
    { answer, retryAfterMs: parseRetryAfter(error.response?.headers.get("retry-after") ?? null) },
  );
}

function explain(issuer: string, error: unknown): [ValidMindAuthErrorCode, string, string] {
  const { code, cause } = (error ?? {}) as {
    code?: unknown;
    cause?: { attribute?: unknown; body?: { issuer?: unknown } };
  };
  if (code === oauth.JSON_ATTRIBUTE_COMPARISON && cause?.attribute === "issuer") {
    return otherIssuer(issuer, cause.body?.issuer);
  }
  if (error instanceof oauth.UnsupportedOperationError && error.message.startsWith("JWE")) {
    return [
      "id_token_invalid",
      "the ID token is encrypted, and this client has no key to read it with",
      "Switch off the encryption of ID tokens for this client.",
    ];
  }
  // The messages of oauth4webapi's errors are fixed texts. Their causes are not, and are left out.
  const text = error instanceof Error ? printable(error.message) : "unknown error";
  if (ID_TOKEN_CODES.includes(code) || /\bJW[TSK]\b|id_token|signature/i.test(text)) {
    return [
      "id_token_invalid",
      `the ID token failed its checks: ${text}`,
      idTokenAdvice(code, text),
    ];
  }
  return [
    "provider_invalid",
    `its answer breaks the protocol: ${text}`,
    "Check the issuer, then ask who runs the provider.",
  ];
}

function idTokenAdvice(code: unknown, text: string): string {
  if (code === oauth.JWT_TIMESTAMP_CHECK || /^iat\b/.test(text)) {
    return "Check this computer's clock, then ask who runs the provider.";
  }
  if (/\balg|algorithm/.test(text)) {
    return "Have the provider sign the ID tokens of this client with RS256, ES256 or another algorithm " +
      "with a public key, as its discovery document states it.";
  }
  if (code === oauth.KEY_SELECTION || /signature/.test(text)) {
    return "Try again: the provider may have changed its keys. Then ask who runs it.";
  }
  if (/claim (type|missing)$|^failed to parse JWT|^Invalid JWT/.test(text)) {
    return "Ask who runs the provider: its ID tokens break the protocol.";
  }
  return "Check issuer and clientId, then ask who runs the provider.";
}

function otherIssuer(
  issuer: string,
  stated: unknown,
): [code: ValidMindAuthErrorCode, reason: string, advice: string] {
  const named = typeof stated === "string" ? `, ${printable(stated)}` : "";
  // It is behind a proxy, and takes the address of its own for that of people.
  const isUnaware = typeof stated === "string" && stated.replace(/^http:/, "https:") === issuer;
  const advice = isEntraIssuer(issuer)
    ? `Give the issuer with the tenant's id: ${new URL(issuer).origin}/<tenant id>/v2.0.`
    : isUnaware
    ? "Have the proxy before the provider tell it that people come by https: (X-Forwarded-Proto), and " +
      "the provider believe it."
    : "Give the issuer exactly as the provider states it.";
  return ["provider_invalid", `its discovery document names another issuer${named}`, advice];
}

/** Whether an error code is one of the protocol, which echoes nothing of the request. */
export function isProtocolError(code: string): boolean {
  return BY_CODE.has(code) || code === "authorization_pending" || code === "slow_down";
}

/**
 * The advice for an OAuth error.
 *
 * @param own The advice of the grant or the client for this code.
 */
export function refusalHint(code: string, description = "", own?: string): string {
  return hintByWords(description, own !== undefined) ?? own ?? BY_CODE.get(code) ??
    "See the provider's documentation of this error.";
}

/** The advice for the words of a provider. `hasOwn`: whether there is advice of the client's own. */
export function hintByWords(words: string, hasOwn = false): string | undefined {
  return BY_WORDS.find(([pattern, , isForPublic]) =>
    pattern.test(words) && !(isForPublic && hasOwn)
  )?.[1];
}
