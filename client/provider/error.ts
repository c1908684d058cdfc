import * as oauth from "oauth4webapi";
import { parseRetryAfter } from "../../backends/common/http_answer.ts";
import { printable } from "../../backends/common/printable.ts";
import { isEntraIssuer } from "../entry/bearer_kind.ts";
import {
  isOwn,
  ProviderUnavailableError,
  type RefusalKind,
  ValidMindAuthError,
  type ValidMindAuthErrorCode,
  type ValidMindAuthErrorParts,
} from "../errors.ts";
import { named } from "../options/declaration.ts";
import type { Refusal } from "./refusal.ts";
import { CLIENT_ID, type RefusalAdvice, remedyOf } from "./remedy.ts";

export { BY_BROWSER, BY_DEVICE, DPOP, type RefusalAdvice } from "./remedy.ts";

const ASK = "ask the provider's administrator.";

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

/** The kind of a refusal, whether or not it has its code and words already. */
export function refusalKind(error: unknown): RefusalKind | undefined {
  return error instanceof ValidMindAuthError ? error.kind : refusalIn(error)?.kind;
}

/** The refusal that an answer was normalized to: see `providerFetch`. */
function refusalIn(error: unknown): Refusal | undefined {
  if (!(error instanceof oauth.ResponseBodyError)) return undefined;
  return (error.cause as { refusal?: Refusal }).refusal;
}

/** Whether a refusal is about the proof of the client. */
export function isOfProof(error: unknown): boolean {
  return refusalKind(error) === "client";
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
  const refusal = refusalIn(error);
  if (refusal !== undefined) {
    const { headers } = (error as oauth.ResponseBodyError).response;
    return refused(action, issuer, refusal, advice, headers);
  }
  const [code, reason, cure] = explain(issuer, error);
  return new ValidMindAuthError(code, { action: `${action} at ${issuer}`, reason, remedy: cure });
}

/** The error of a refusal in the browser: RFC 6749, section 4.1.2.1. */
export function pageRefusal(
  issuer: string,
  refusal: Refusal,
  advice: RefusalAdvice,
): ValidMindAuthError {
  const error = refused("sign in", issuer, refusal, advice);
  return refusal.kind === "fault" ? new ProviderUnavailableError(error) : error;
}

function refused(
  action: string,
  issuer: string,
  refusal: Refusal,
  advice: RefusalAdvice,
  headers?: Headers,
): ProviderRefusedError {
  const answer = answerOf(refusal);
  const isSilent = refusal.code + refusal.said === "";
  return new ProviderRefusedError({
    action: `${action} at ${issuer}`,
    reason: `the provider answered ${answer}${isSilent ? ", or a proxy did" : ""}`,
    remedy: remedyOf(refusal, { ...advice, scope: printable(advice.scope ?? "") }),
    answer,
    kind: refusal.kind,
    oauthError: refusal.code || undefined,
    retryAfterMs: parseRetryAfter(headers?.get("retry-after") ?? null),
  });
}

/** The code and the words of a provider. */
function answerOf({ code, said, status }: Refusal): string {
  const words = printable(said).replace(/\.$/, "");
  const name = code === "" ? `status ${status}` : code;
  if (words !== "") return `${name} (${words})`;
  return code === "" ? `${name} and no text` : name;
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
