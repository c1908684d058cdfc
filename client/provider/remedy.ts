import type { RefusalKind } from "../errors.ts";
import { named } from "../options/declaration.ts";
import { type AskedFor, isBusy, namesApi, namesClient, type Refusal } from "./refusal.ts";

/** Options as messages name them. */
export const CLIENT_ID = named("clientId");
export const SCOPE = named("scope");
export const DPOP = named("dpop", true);
export const BY_BROWSER = named("flow", "browser");
export const BY_DEVICE = named("flow", "device");
export const AUDIENCE = named("audience");
const ISSUER = named("issuer");

const ITS_PROOFS = `its ${named("clientSecret")}, ${named("clientSecretFile")}, ` +
  `${named("clientKeyFile")}, ${named("clientAssertionFile")} or ${named("clientAssertion")}`;
/** The condition of the client's own variables. */
export const ITS_VARIABLES = "These variables count only with VM_OIDC_ISSUER and VM_OIDC_CLIENT_ID";
/** The ways of a client to prove who it is. */
export const PROVE = `Give ${ITS_PROOFS}. ${ITS_VARIABLES}.`;

/** The way around a policy against codes. The page tells a person of it, and not this program. */
export const INSTEAD_OF_CODE = `If the page refused the code by a policy, set ${BY_BROWSER}.`;
export const ASK = "ask the provider's administrator.";
const SIGN_IN = "Sign in again.";
const CLIENT = `Check ${CLIENT_ID}. The client has to be enabled`;
const CONFIDENTIAL = `A confidential client needs ${ITS_PROOFS}. ${ITS_VARIABLES}`;
const PUBLIC = `${CLIENT} and public. ${CONFIDENTIAL}.`;
const OTHER_API =
  `Check ${AUDIENCE}: the provider does not know this API, or does not allow it to this client.`;

const DEVICE_GRANT =
  `Enable the device code grant and the refresh token grant for this client, or set ${BY_BROWSER}.`;
const CODE_GRANT =
  `Enable the authorization code grant (Keycloak: standard flow) for this client, or set ${BY_DEVICE}.`;
/** The grant to enable, by the question that was refused. */
const GRANTS: Readonly<Partial<Record<AskedFor, string>>> = {
  device: DEVICE_GRANT,
  poll: DEVICE_GRANT,
  par: CODE_GRANT,
  page: CODE_GRANT,
  code: CODE_GRANT,
  refresh: "Enable the refresh token grant for this client, then sign in again.",
  client: "Enable the client credentials grant for this client. The client has to be confidential.",
};

/** The request behind a refusal. */
export interface RefusalAdvice {
  /** Its scopes. */
  readonly scope?: string;
  /** The remedy where the client's own proof is refused, which depends on the kind of proof. */
  readonly ofClient?: string;
  /** The remedy where a token to exchange is refused. */
  readonly ofToken?: string;
}

const OF_DPOP = /dpop/i;

/** Remedies that only a provider's words lead to, for some kinds. The first that fits counts. */
const BY_WORDS: readonly (readonly [kinds: RefusalKind[], pattern: RegExp, remedy: string])[] = [
  // Microsoft Entra
  [
    ["client"],
    /AADSTS7000218\b/,
    'Set "Allow public client flows" to Yes in the app registration, under Authentication.',
  ],
  // Keycloak, by invalid_request; RFC 9449
  [
    ["client"],
    OF_DPOP,
    `Check this computer's clock. A client that has to use DPoP needs ${DPOP}.`,
  ],
  // Keycloak
  [
    ["client"],
    /Invalid client or Invalid client credentials/i,
    `${CLIENT}, with Client authentication off in Keycloak. ${CONFIDENTIAL}.`,
  ],
  // Microsoft Entra
  [
    ["refused", "denied"],
    /AADSTS53\d{3,4}\b|message_only/,
    `A Conditional Access policy refuses it. Many refuse only the device flow: set ${BY_BROWSER}.`,
  ],
  // Microsoft Entra, by a sub-code: as a code, the person can consent
  [
    ["refused", "denied"],
    / consent_required|AADSTS(65001|90094)\b/,
    `An administrator has to consent to this client: ${ASK}`,
  ],
  // Microsoft Entra, Okta
  [
    ["denied"],
    /AADSTS50105\b|not assigned/i,
    "An administrator has to assign you to this client.",
  ],
  // Okta
  [
    ["denied"],
    /Policy evaluation failed/i,
    "An access policy of the Okta authorization server has to allow this sign-in to this client. " +
    "You have to be assigned to the app.",
  ],
  // Keycloak, oidc-provider
  [
    ["refused"],
    /\bpushed authorization request\b/i,
    "The client has to push its requests (RFC 9126), and the discovery document does not say so. Set " +
    "require_pushed_authorization_requests there, or switch the demand off for the client.",
  ],
  // Keycloak, Google; pyop, by invalid_request: OpenID Connect Core, section 11
  [
    ["refused", "scope"],
    /offline[_ ](access|tokens)|consent in prompt/i,
    `Leave offline_access out of ${SCOPE}, have it allowed for you and this client, or in the browser ` +
    `flow set ${named("authorizationParameters")} with prompt=consent.`,
  ],
];

/** The way on from a refusal, in whole sentences. */
export function remedyOf(refusal: Refusal, advice: RefusalAdvice = {}) {
  const { kind, at, code, said, sub } = refusal;
  const { ofClient, ofToken = "" } = advice;
  const words = `${code} ${sub} ${said}`;
  if (kind === "client" && ofClient && !OF_DPOP.test(words)) {
    return remedyOfProof(refusal, ofClient);
  }
  if (at === "revoke" && kind !== "fault") return "Have revocation allowed for this client.";
  const known = BY_WORDS.find(([kinds, pattern]) => kinds.includes(kind) && pattern.test(words))
    ?.[2];
  if (kind === "scope") return remedyOfScope(refusal, advice, known);
  if (known) return known;
  if (kind === "fault") return remedyOfFault(refusal);
  if (at === "exchange") return remedyOfExchange(refusal, ofToken);
  if (kind === "client") return PUBLIC;
  if (kind === "flow") return remedyOfFlow(refusal);
  if (kind === "denied") return remedyOfDenial(refusal);
  if (kind === "over") return remedyOfEnd(refusal);
  return remedyOfOther(refusal, words);
}

/** Some codes leave open whether the proof or the grant is refused. */
function remedyOfProof({ at, code, said }: Refusal, ofClient: string) {
  if (/\baud(ience)?\b/i.test(said)) {
    return `Have the JWT made for the audience (aud) that the provider expects, mostly its issuer. ${ofClient}`;
  }
  const isSure = code === "invalid_client" || namesClient(said);
  const grant = GRANTS[at];
  if (isSure || !grant) return ofClient;
  return `${ofClient} ${grant}`;
}

/** A refusal without a word may be of a client that is not known, or that has a secret (Glewlwyd). */
function remedyOfFlow({ at, code, said }: Refusal) {
  const grant = GRANTS[at]!; // of every question with this kind
  if (said === "" && code !== "unsupported_grant_type") return `${PUBLIC} ${grant}`;
  return grant;
}

function remedyOfScope({ at }: Refusal, { scope = "", ofToken }: RefusalAdvice, known = ofToken) {
  const sent = `The scope asked for was "${scope}".`;
  if (known !== undefined) return `${sent} ${known}`;
  const check = `Check ${SCOPE}: the provider does not allow all of it to this client.`;
  const ofEntra = at === "client" ? " At Entra it is <the API's id>/.default." : "";
  return `${sent} ${check}${ofEntra}`;
}

function remedyOfFault({ at, status, code, said }: Refusal) {
  if (namesClient(said)) return `${CLIENT}.`; // ZITADEL's library, by status 500
  if (isBusy(status, `${code} ${said}`)) {
    return "Try again later, then ask the administrator of the provider, or of a proxy before it.";
  }
  const issuer = at === "find"
    ? `${ISSUER}, which is the provider's address and not the API's`
    : ISSUER;
  return `Check ${issuer}. Check also that no network or proxy asks for a sign-in of its own.`;
}

function remedyOfExchange({ kind, said }: Refusal, ofToken: string) {
  if (kind === "client") return `The client may have to prove itself. ${PROVE} ${ofToken}`;
  if (namesApi(said)) return `${OTHER_API} ${ofToken}`;
  return ofToken;
}

function remedyOfEnd({ at }: Refusal) {
  if (at !== "poll") return SIGN_IN;
  return `Sign in again, and approve before the code ends. ${INSTEAD_OF_CODE}`;
}

function remedyOfDenial({ at }: Refusal) {
  if (at === "client") return "Have the client allowed to use this API at the provider.";
  const approve = `Sign in again, and approve. A rule may refuse it: ${ASK}`;
  if (at !== "poll") return approve;
  return `${approve} ${INSTEAD_OF_CODE}`;
}

/** The codes of OpenID Connect Core, section 3.1.2.6, and Auth0 that a sign-in answers. */
const WANTS_PERSON = /^(interaction|login|consent|account_selection|mfa)_required$/;

function remedyOfOther({ at, code }: Refusal, words: string) {
  if (/^invalid_(target|resource)$/.test(code) || namesApi(words)) return OTHER_API;
  if (at === "refresh" || WANTS_PERSON.test(code)) return SIGN_IN;
  return `Check the options of the request, then ${ASK}`;
}
