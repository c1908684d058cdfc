import { type Json, objectIn } from "../../backends/common/json.ts";
import { redact } from "../../backends/common/redaction.ts";
import type { RefusalKind } from "../errors.ts";

/**
 * The question that a provider answers: discovery or keys, a pushed request, a device code, a poll for
 * it, the page in the browser, the code of that page, a refresh, the client itself, the exchange of a
 * token, a revocation.
 */
export type AskedFor =
  | "find"
  | "par"
  | "device"
  | "poll"
  | "page"
  | "code"
  | "refresh"
  | "client"
  | "exchange"
  | "revoke";

/** An answer that is not the success that was asked for. */
interface RefusalAnswer {
  at: AskedFor;
  status: number;
  /** The body as it came. */
  text: string;
  /** The body, where it is a JSON object. */
  json?: Json;
  /** Whether the client has given a proof: a secret, a key or an assertion. */
  hasProof?: boolean;
}

/** The error in an answer, however the provider words it. Each is "" where the answer has none. */
interface RefusalWords {
  code: string;
  said: string;
  /** The cause of the code: at Microsoft Entra and Google. */
  sub: string;
}

/** A refusal as the table reads it. Its words have no secret. */
export interface Refusal extends RefusalWords {
  at: AskedFor;
  status: number;
  kind: RefusalKind;
}

/** Limit of an error's words, of which people see 200 characters. */
const LONGEST_WORDS = 2000;

const BUSY = [408, 425, 429];

/** What a code means by itself. */
const BY_CODE: Readonly<Record<string, RefusalKind>> = {
  authorization_pending: "wait",
  slow_down: "wait",
  invalid_client: "client",
  invalid_client_id: "client",
  deleted_client: "client",
  disabled_client: "client",
  invalid_dpop_proof: "client",
  use_dpop_nonce: "client",
  unauthorized_client: "flow",
  unsupported_grant_type: "flow",
  unsupported_response_type: "flow",
  invalid_scope: "scope",
  scope_invalid: "scope",
  access_denied: "denied",
  authorization_declined: "denied",
  unauthorized: "denied",
  admin_policy_enforced: "denied",
  org_internal: "denied",
  invalid_grant: "over",
  expired_token: "over",
};

/** The sub-codes of a grant that is over. Every other one is about this request. */
const ENDED = ["bad_token", "token_expired"];

const OF_FAULT = [
  /^(server_error|temporarily_unavailable)\b/,
  /rate.?limit|too many (requests|attempts)|too_many|throttl|quota|slow down/i,
  /AADSTS50196\b/,
];
const OF_API = [
  /\b(service|audience|resource principal)\b.{0,80}\bnot (found|enabled)/i,
  /no client with requested audience/i,
];
const OF_GRANT = [
  /(device_code|device authorization|device flow|grant[ _]type|authorization grant).{0,80}\bnot (allowed|enabled|supported|authorized|permitted)/i,
  /\bnot (allowed|enabled|authorized).{0,60}(device|grant|service account)/i,
  /unauthorized grant type/i,
];
const OF_CLIENT = [
  /client (credentials|secret|authentication|assertion)\b|JWT assertion|bad credentials|DPoP proof/i,
  /(unknown|invalid|no such) client/i,
  /\b(client|application)\b.{0,80}\b(not found|not registered|unknown|does not exist|was deleted|disabled)/i,
];
/** Words about the proof beside `invalid_grant`, whose other words may name another client. */
const FAILED_PROOF = /client authentication failed/i;
const OF_ACCOUNT = [
  /\b(user|account)\b.{0,40}\b(disabled|inactive|locked|blocked|suspended|restricted|not fully set up)/i,
  /(inactive|disabled) user/i,
];

/**
 * Reads an answer by the table of refusals. Nothing else decides by a provider's words.
 *
 * @param secrets What the words may repeat of the request, and must not show. It changes no kind.
 */
export function readRefusal(answer: RefusalAnswer, secrets: Iterable<string> = []): Refusal {
  const { at, status, json = {} } = answer;
  const words = readWords(json);
  const { code, said, sub } = words;
  return {
    at,
    status,
    kind: judge(answer, words),
    code: codeName(code, secrets),
    said: redact(said, secrets),
    sub: redact(sub, secrets),
  };
}

/** A code of the table echoes nothing of the request, and a short secret may be a part of it. */
function codeName(code: string, secrets: Iterable<string>) {
  if (kindOfCode(code) !== undefined) return code;
  const name = redact(code, secrets);
  if (/^[\w.-]{0,60}$/.test(name)) return name;
  return "an error without a proper name";
}

/** The error in any provider's form: OAuth, Okta, PingOne, Google, AWS. */
function readWords(json: Json): RefusalWords {
  const inner = objectIn(json.error);
  const { error_code, errorCode, code, __type, errorSummary, message } = json;
  return {
    code: firstText(json.error, error_code, errorCode, code, inner.status, __type),
    said: firstText(json.error_description, errorSummary, message, inner.message),
    sub: firstText(json.suberror, json.error_subtype),
  };
}

function firstText(...values: unknown[]) {
  const text = values.find((value) => typeof value === "string" && value !== "");
  return String(text ?? "").slice(0, LONGEST_WORDS);
}

/** The meaning of an answer, by eight rules. The first that fits decides. */
function judge(answer: RefusalAnswer, { code, said, sub }: RefusalWords): RefusalKind {
  const { at, status, json, hasProof } = answer;
  const words = `${code} ${said}`;
  const byCode = kindOfCode(code);
  if (at === "find") return "fault"; // rule 3: an answer without a grant decides nothing
  // 1. Not yet.
  if (byCode === "wait") return byCode;
  // 2. The provider is ill or busy.
  if (isBusy(status, words)) return "fault";
  // 3. Somebody else has answered, or nobody said a word.
  const isElsewhere = isRedirect(status) || [404, 405, 410].includes(status);
  const isSilent = json === undefined || code + said === "";
  if (isSilent || isElsewhere && byCode === undefined) return kindOfSilence(answer);
  // 4. It is about this request or about the API: the grant is not meant.
  const isOfProof = byCode === "client" && at !== "exchange"; // an assertion has an audience, too
  const isOfApi = namesApi(words) && !isOfProof;
  if (sub !== "" && !ENDED.includes(sub) || isOfApi) return "refused";
  // 5. This client may not use this grant.
  if (isOneOf(OF_GRANT, words)) return "flow";
  // 6. The client, or its proof. In the grant of a client itself, its proof is the grant.
  const isOfClient = code === "invalid_grant" ? FAILED_PROOF.test(said) : namesClient(words);
  if (isOfClient) return "client";
  if (code === "unauthorized_client" && said === "" && hasProof) return "client";
  if (at === "client" && ["invalid_grant", "invalid_request"].includes(code)) return "client";
  // 7. The grant is over, unless it is about the account, or unclear.
  if (byCode === "over") {
    const isUnclear = at === "refresh" && sub === "" && isOfEntra(json); // it says so of an ended one
    if (isUnclear || isOneOf(OF_ACCOUNT, said)) return "refused";
    return "over";
  }
  // 8. The code. All that nobody knows is refused, and the grant stays.
  if (code === "invalid_request" && /\binvalid_scope\b/.test(said)) return "scope"; // Cognito
  return byCode ?? "refused";
}

/** Whether the provider is ill or busy, by its status or its code and words. */
export function isBusy(status: number, words: string) {
  return BUSY.includes(status) || status >= 500 || isOneOf(OF_FAULT, words);
}

/** Whether an answer leads elsewhere. No redirect is followed. */
export function isRedirect(status: number) {
  return status >= 300 && status < 400;
}

function kindOfSilence({ at, status, text, hasProof }: RefusalAnswer): RefusalKind {
  if (text.trim() !== "" || ![400, 401, 403].includes(status)) return "fault";
  if (hasProof) return "client";
  if (at === "device") return "flow";
  return "refused";
}

function kindOfCode(code: string) {
  const name = code.replace("-", "_"); // Salesforce
  if (Object.hasOwn(BY_CODE, name)) return BY_CODE[name];
  return undefined;
}

function isOneOf(patterns: readonly RegExp[], words: string) {
  return patterns.some((pattern) => pattern.test(words));
}

function isOfEntra({ error_codes, error_description }: Json) {
  return Array.isArray(error_codes) || /\bAADSTS\d/.test(firstText(error_description));
}

/** Whether words say that the API is not known, or not allowed. */
export function namesApi(words: string) {
  return isOneOf(OF_API, words);
}

/** Whether words name the client or its proof. */
export function namesClient(words: string) {
  return isOneOf(OF_CLIENT, words);
}
