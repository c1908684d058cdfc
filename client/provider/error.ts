import * as oauth from "oauth4webapi";
import { parseRetryAfter } from "../../backends/common/http_answer.ts";
import { printable } from "../../backends/common/printable.ts";
import { isEntraIssuer } from "../entry/bearer_kind.ts";
import {
  isOwn,
  ProviderUnavailableError,
  ValidMindAuthError,
  type ValidMindAuthErrorCode,
  type ValidMindAuthErrorParts,
} from "../errors.ts";
import { named } from "../options/declaration.ts";

const ASK = "ask the provider's administrator.";
const SIGN_IN = "Sign in again.";
const DEVICE_GRANT =
  "Enable the device code grant and the refresh token grant for this client. The " +
  "browser flow needs the authorization code grant instead.";

/** Options as messages name them. */
export const CLIENT_ID: string = named("clientId");
export const SCOPE: string = named("scope");
export const DPOP: string = named("dpop", true);
export const BY_BROWSER: string = named("flow", "browser");
export const BY_DEVICE: string = named("flow", "device");
const AUDIENCE = named("audience");

const PROOFS = `its ${named("clientSecret")}, ${named("clientSecretFile")}, ` +
  `${named("clientKeyFile")}, ${named("clientAssertionFile")} or ` + `${named("clientAssertion")}`;
const CLIENT = `Check ${CLIENT_ID}. The client has to be enabled`;
/** The condition of the client's own variables. */
export const ITS_VARIABLES = "These variables count only with VM_OIDC_ISSUER and VM_OIDC_CLIENT_ID";
/** The ways of a client to prove who it is. */
export const PROVE: string = `Give ${PROOFS}. ${ITS_VARIABLES}.`;
const CONFIDENTIAL = `A confidential client needs ${PROOFS}. ${ITS_VARIABLES}`;
const PUBLIC = `${CLIENT} and public. ${CONFIDENTIAL}.`;
const CLOCK_OR_DPOP = `Check this computer's clock. A client that has to use DPoP needs ${DPOP}.`;
/** Words by which some providers refuse a client's proof under another code. */
const OF_PROOF = /client (credentials|secret|authentication|assertion)\b/i;

/** The advice for an OAuth error, by its code. */
const BY_CODE: ReadonlyMap<string, string> = new Map(Object.entries({
  invalid_client: PUBLIC,
  unauthorized_client: DEVICE_GRANT,
  unsupported_grant_type: DEVICE_GRANT,
  invalid_scope: `Check ${SCOPE}: the provider does not allow all of it to this client.`,
  invalid_grant: SIGN_IN,
  interaction_required: SIGN_IN,
  login_required: SIGN_IN,
  consent_required: SIGN_IN,
  invalid_target: `Check ${AUDIENCE}: the provider does not know this API.`,
  access_denied:
    "Sign in again, and approve. A rule may refuse it: ask the provider's administrator.",
  authorization_declined: "Sign in again, and approve.",
  invalid_dpop_proof: CLOCK_OR_DPOP,
  expired_token: "Sign in again, and approve before the code ends.",
}));

/**
 * The advice for refusals whose cure is not in the provider's own words. Nothing is decided by these
 * words, which may change at any time. They only help the reader.
 */
const BY_WORDS: readonly (readonly [pattern: RegExp, advice: string])[] = [
  // Keycloak, oidc-provider
  [
    /\bpushed authorization request\b/i,
    "The client has to push its requests (RFC 9126), and the discovery document does not say so. Set " +
    "require_pushed_authorization_requests there, or switch the demand off for the client.",
  ],
  // Microsoft Entra
  [
    /AADSTS7000218\b/,
    'Set "Allow public client flows" to Yes in the app registration, under Authentication.',
  ],
  // Microsoft Entra
  [
    /AADSTS530\d\d\b/,
    "A Conditional Access policy refuses it. Many refuse only the device flow: set " +
    `${BY_BROWSER}.`,
  ],
  // oidc-provider, by invalid_request
  [
    /device_code is not allowed for this client/i,
    `Enable the device code grant for this client, or set ${BY_BROWSER}.`,
  ],
  // Okta
  [
    /Policy evaluation failed/i,
    "An access policy of the Okta authorization server has to allow the device grant for this " +
    "client. You have to be assigned to the app.",
  ],
  // Keycloak
  [
    /Invalid client or Invalid client credentials/i,
    `${CLIENT}, with Client authentication off in Keycloak. ${CONFIDENTIAL}.`,
  ],
  // Keycloak, by invalid_request
  [/DPoP proof/i, CLOCK_OR_DPOP],
  // Keycloak, Google
  [
    /offline[_ ](access|tokens)/i,
    `Leave offline_access out of ${SCOPE}, or have it allowed for you and this client.`,
  ],
];

/**
 * The provider refused a request: by an OAuth error, or by a status of refusal without a word. A passing
 * fault is a `ProviderUnavailableError` instead.
 */
export class ProviderRefusedError extends ValidMindAuthError {
  /** The error code and the words of the provider. */
  readonly answer: string;
  /** The pause that the provider asked for, in milliseconds. */
  readonly retryAfterMs?: number;

  constructor(
    parts: ValidMindAuthErrorParts & { answer: string; retryAfterMs?: number | undefined },
  ) {
    super("provider_refused", parts);
    const { answer, retryAfterMs } = parts;
    this.answer = answer;
    if (retryAfterMs !== undefined) this.retryAfterMs = retryAfterMs;
  }
}

/** Whether a refusal is about the proof of the client. No other flow helps then. */
export function isOfProof(error: unknown): boolean {
  return error instanceof ProviderRefusedError && OF_PROOF.test(error.answer);
}

/** The advice for the refusals of one grant, and of one client. */
export interface RefusalAdvice {
  /** By the OAuth error. */
  readonly byCode?: Readonly<Record<string, string>>;
  /** For all other errors. */
  readonly ofOthers?: string;
  /** The errors beside `invalid_client` that some providers answer to a client's proof. */
  readonly proofErrors?: readonly string[];
  /** Where the client's own proof is refused. */
  readonly ofClient?: string | undefined;
  /** The scopes of the request. */
  readonly scope?: string;
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
  advice: RefusalAdvice = {},
): Error {
  if (isOwn(error)) return error;
  if (error instanceof oauth.ResponseBodyError) return refused(action, issuer, error, advice);
  const [code, reason, cure] = explain(issuer, error);
  return new ValidMindAuthError(code, { action: `${action} at ${issuer}`, reason, remedy: cure });
}

/** The error of a provider's answer in the browser: RFC 6749, section 4.1.2.1. */
export function authorizationRefusal(
  issuer: string,
  answer: { error: string; error_description?: string | undefined },
  advice: RefusalAdvice,
): ValidMindAuthError {
  const refusal = refused("sign in", issuer, answer, advice);
  const isFault = ["server_error", "temporarily_unavailable"].includes(answer.error);
  return isFault ? new ProviderUnavailableError(refusal) : refusal;
}

/** The error for a status of refusal (400, 401, 403) without a word. */
export function refusedWithoutWords(
  place: string,
  { status, headers }: Response,
): ProviderRefusedError {
  const answer = `status ${status} and no text`;
  return new ProviderRefusedError({
    action: `use ${place}`,
    reason: `it answered with ${answer}, or a proxy did`,
    remedy: PUBLIC,
    answer,
    retryAfterMs: parseRetryAfter(headers.get("retry-after")),
  });
}

function refused(
  action: string,
  issuer: string,
  error: { error: string; error_description?: string | undefined; response?: Response },
  advice: RefusalAdvice,
): ProviderRefusedError {
  const { error: oauthError, error_description = "" } = error;
  const said = printable(error_description).replace(/\.$/, "");
  const answer = `${oauthError}${said && ` (${said})`}`;
  const { scope = "" } = advice;
  const isOfScope = oauthError === "invalid_scope";
  const sent = isOfScope ? `The scope asked for was "${printable(scope)}". ` : "";
  return new ProviderRefusedError({
    action: `${action} at ${issuer}`,
    reason: `the provider answered ${answer}`,
    remedy: sent + refusalAdvice(oauthError, said, advice),
    answer,
    oauthError,
    retryAfterMs: parseRetryAfter(error.response?.headers.get("retry-after") ?? null),
  });
}

/** The advice for an OAuth error with the words of the provider. */
function refusalAdvice(
  code: string,
  said: string,
  { byCode = {}, proofErrors = [], ofClient, ofOthers }: RefusalAdvice,
): string {
  // Keycloak says so of an audience that it does not know.
  const isOfProof = code === "invalid_client" && !/audience/i.test(said) || OF_PROOF.test(said);
  if (ofClient !== undefined && isOfProof) return ofClient;
  const known = adviceByWords(said);
  if (known !== undefined) return known;
  const general = `Check the options of the request, then ${ASK}`;
  const own = Object.hasOwn(byCode, code) ? byCode[code] : ofOthers;
  const ofGrant = own ?? BY_CODE.get(code) ?? general;
  // zitadel/oidc refuses a wrong secret by unauthorized_client without a word.
  const mayBeOfProof = proofErrors.includes(code) && !/grant type/i.test(said) ||
    code === "unauthorized_client" && said === "";
  return ofClient !== undefined && mayBeOfProof ? `${ofClient} ${ofGrant}` : ofGrant;
}

/** The advice for the words of a provider. */
export function adviceByWords(said: string): string | undefined {
  return BY_WORDS.find(([pattern]) => pattern.test(said))?.[1];
}

/** Whether an error code is one of the protocol, which echoes nothing of the request. */
export function isProtocolError(code: string): boolean {
  return BY_CODE.has(code) || code === "authorization_pending" || code === "slow_down";
}

type Explanation = [code: ValidMindAuthErrorCode, reason: string, cure: string];

function explain(issuer: string, error: unknown): Explanation {
  const { code, cause } = (error ?? {}) as {
    code?: unknown;
    cause?: { attribute?: unknown; body?: { issuer?: unknown } };
  };
  if (code === oauth.JSON_ATTRIBUTE_COMPARISON && cause?.attribute === "issuer") {
    return otherIssuer(issuer, cause.body?.issuer);
  }
  // The messages of oauth4webapi's errors are fixed texts. Their causes are not, and are left out.
  const text = error instanceof Error ? printable(error.message) : "unknown error";
  const isOfIdToken = code === oauth.JWT_CLAIM_COMPARISON || code === oauth.JWT_TIMESTAMP_CHECK ||
    code === oauth.KEY_SELECTION || /\bJW[TSKE]\b|id_token|signature/i.test(text);
  return isOfIdToken
    ? ["id_token_invalid", `the ID token failed its checks: ${text}`, idTokenAdvice(code, text)]
    : [
      "provider_invalid",
      `its answer breaks the protocol: ${text}`,
      `Check the issuer, then ${ASK}`,
    ];
}

function idTokenAdvice(code: unknown, text: string): string {
  if (text.startsWith("JWE")) return "Switch off the encryption of ID tokens for this client.";
  if (code === oauth.JWT_TIMESTAMP_CHECK || /^iat\b/.test(text)) {
    return `Check this computer's clock, then ${ASK}`;
  }
  if (/\balg|algorithm/.test(text)) {
    return "The provider has to sign this client's ID tokens by an algorithm with a public key, such as " +
      "RS256 or ES256. Its discovery document has to name the algorithm.";
  }
  return `Check ${named("issuer")} and ${CLIENT_ID}, then ${ASK}`;
}

function otherIssuer(issuer: string, stated: unknown): Explanation {
  const named = typeof stated === "string" ? `, ${printable(stated)}` : "";
  const cure = isEntraIssuer(issuer)
    ? `Give the issuer with the tenant's id: ${new URL(issuer).origin}/<tenant id>/v2.0.`
    : "Give the issuer exactly as the provider states it.";
  return ["provider_invalid", `its discovery document names another issuer${named}`, cure];
}
