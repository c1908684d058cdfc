import * as oauth from "oauth4webapi";
import { parseRetryAfter } from "../../backends/common/http_answer.ts";
import { printable } from "../../backends/common/printable.ts";
import { redact, type Secrets } from "../../backends/common/redaction.ts";
import { isEntraIssuer } from "../entry/bearer.ts";
import { isOwnError, type RefusalKind, ValidMindAuthError } from "../errors.ts";
import { named } from "../options/declaration.ts";
import type { Refusal } from "./refusal.ts";
import { ASK, CLIENT_ID, type RefusalAdvice, remedyOf } from "./remedy.ts";

/** The kind of a refusal, whether or not it has its code and words already. */
export function refusalKind(error: unknown): RefusalKind | undefined {
  if (error instanceof ValidMindAuthError) return error.kind;
  return refusalIn(error)?.kind;
}

/** The refusal that an answer was normalized to: see `providerFetch`. */
function refusalIn(error: unknown) {
  if (!(error instanceof oauth.ResponseBodyError)) return undefined;
  return (error.cause as { refusal?: Refusal }).refusal;
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
  advice: RefusalAdvice,
  secrets: Secrets,
): Error {
  if (isOwnError(error)) return error;
  const refusal = refusalIn(error);
  if (!refusal) return invalidAnswer(action, issuer, error, secrets);
  const { headers } = (error as oauth.ResponseBodyError).response;
  return refusalError(action, issuer, refusal, advice, headers.get("retry-after"));
}

/** The error of a refusal, in an answer or in the browser: RFC 6749, section 4.1.2.1. */
export function refusalError(
  action: string,
  issuer: string,
  refusal: Refusal,
  advice: RefusalAdvice,
  retryAfter: string | null = null,
) {
  return new ValidMindAuthError("provider_refused", {
    action: `${action} at ${issuer}`,
    reason: `the provider answered ${answerOf(refusal)}`,
    remedy: remedyOf(refusal, { ...advice, scope: printable(advice.scope ?? "") }),
    kind: refusal.kind,
    oauthError: refusal.code || undefined,
    retryAfterMs: parseRetryAfter(retryAfter),
  });
}

/** The code and the words of a provider. */
function answerOf({ code, said, status }: Refusal) {
  const words = printable(said).replace(/\.$/, "");
  if (code + words === "") return `status ${status} and no text, or a proxy did`;
  const name = code || `status ${status}`;
  return words === "" ? name : `${name} (${words})`;
}

/** The error for a provider that breaks a rule. Its administrator can mend that. */
export function invalidProvider(
  action: string,
  reason: string,
  remedy = `Check the issuer, then ${ASK}`,
) {
  return new ValidMindAuthError("provider_invalid", { action, reason, remedy });
}

/** The error for an answer that oauth4webapi does not take, or that a check of this folder refuses. */
function invalidAnswer(action: string, issuer: string, error: unknown, secrets: Secrets) {
  const at = `${action} at ${issuer}`;
  const { code, cause } = Object(error);
  if (code === oauth.JSON_ATTRIBUTE_COMPARISON && cause?.attribute === "issuer") {
    return otherIssuer(at, issuer, redact(cause.body.issuer, secrets));
  }
  // The messages of oauth4webapi's errors are fixed texts. Their causes are not, and are left out.
  const text = printable(error instanceof Error ? error.message : "unknown error");
  if (isOfIdToken(code, text)) {
    return new ValidMindAuthError("id_token_invalid", {
      action: at,
      reason: `the ID token failed its checks: ${text}`,
      remedy: remedyOfIdToken(code, text),
    });
  }
  return invalidProvider(at, `its answer breaks the protocol: ${faultWords(error)}`);
}

/** The faults of an answer for which oauth4webapi has words of its own. */
const FAULT_WORDS: Readonly<Record<string, string>> = {
  [oauth.RESPONSE_IS_NOT_JSON]: "it is not JSON",
  [oauth.PARSE_ERROR]: "it is not JSON",
  [oauth.RESPONSE_IS_NOT_CONFORM]: "its status is not that of a success",
  [oauth.JSON_ATTRIBUTE_COMPARISON]: "it is about another address",
};

/** The fault of an answer that oauth4webapi does not take: its messages are fixed texts, unlike their causes. */
export function faultWords(error: unknown) {
  const { code, message } = Object(error);
  return FAULT_WORDS[code] ?? printable(`${message}`).replace('"response" body', "its JSON");
}

/** Whether an error of oauth4webapi is about the claims, the times or the key of a token. */
function isOfIdToken(code: unknown, text: string) {
  const ofTokens = [oauth.JWT_CLAIM_COMPARISON, oauth.JWT_TIMESTAMP_CHECK, oauth.KEY_SELECTION];
  return ofTokens.includes(`${code}`) || /\bJW[TSKE]\b|id_token|signature/i.test(text);
}

function remedyOfIdToken(code: unknown, text: string) {
  if (text.startsWith("JWE")) return "Switch off the encryption of ID tokens for this client.";
  if (code === oauth.JWT_TIMESTAMP_CHECK) {
    return `Check this computer's clock, then ${ASK}`;
  }
  if (/\balg|algorithm/.test(text)) {
    return "The provider has to sign this client's ID tokens by an algorithm with a public key, such as " +
      "RS256 or ES256. Its discovery document has to name the algorithm.";
  }
  return `Check ${named("issuer")} and ${CLIENT_ID}, then ${ASK}`;
}

function otherIssuer(action: string, issuer: string, stated: string) {
  let remedy = "Give the issuer exactly as the provider states it.";
  if (isEntraIssuer(issuer)) {
    remedy = `Give the issuer with the tenant's id: ${new URL(issuer).origin}/<tenant id>/v2.0.`;
  }
  return invalidProvider(
    action,
    `its discovery document names another issuer, ${printable(stated)}`,
    remedy,
  );
}
