import * as oauth from "oauth4webapi";
import { CredentialsBackendError } from "../backends/credentials_backend_error.ts";
import { isEntraIssuer } from "./credentials.ts";
import { ValidMindAuthError, type ValidMindAuthErrorCode } from "./errors.ts";
import { printable } from "./printable.ts";
import { parseRetryAfter } from "./provider_fetch.ts";
import { refusalHint } from "./refusal_hint.ts";

/** The provider answered with an OAuth error. */
export class ProviderRefusedError extends ValidMindAuthError {
  /** How long the provider asked to be left alone, in milliseconds. */
  readonly retryAfterMs?: number;

  constructor(message: string, oauthError: string, retryAfterMs: number | undefined) {
    super("provider_refused", message, { oauthError });
    if (retryAfterMs !== undefined) this.retryAfterMs = retryAfterMs;
  }
}

/**
 * The coded error for a failure at the provider. oauth4webapi's own error never becomes the cause:
 * it carries the answer, and the answer carries tokens.
 */
export function providerError(action: string, issuer: string, error: unknown): Error {
  if (error instanceof ValidMindAuthError || error instanceof CredentialsBackendError) return error;
  if (error instanceof oauth.ResponseBodyError) return refused(action, issuer, error);
  const [code, reason, advice] = explain(issuer, error);
  return new ValidMindAuthError(code, `Cannot ${action} at ${issuer}: ${reason}. ${advice}`);
}

function refused(
  action: string,
  issuer: string,
  error: oauth.ResponseBodyError,
): ProviderRefusedError {
  const name = printable(error.error, 60);
  const words = typeof error.error_description === "string"
    ? printable(error.error_description)
    : "";
  return new ProviderRefusedError(
    `Cannot ${action} at ${issuer}: the provider answered ${name}${words && ` (${words})`}. ` +
      refusalHint(name, words),
    name,
    parseRetryAfter(error.response.headers.get("retry-after")),
  );
}

function explain(issuer: string, error: unknown): [ValidMindAuthErrorCode, string, string] {
  const code = (error as { code?: unknown } | null)?.code;
  const attribute = (error as { cause?: { attribute?: unknown } } | null)?.cause?.attribute;
  if (code === oauth.MISSING_SERVER_METADATA && attribute === "device_authorization_endpoint") {
    return [
      "device_flow_unsupported",
      "the provider offers no device flow",
      "Enable it, or use a provider that has it.",
    ];
  }
  if (code === oauth.JSON_ATTRIBUTE_COMPARISON && attribute === "issuer") {
    return ["provider_invalid", `its discovery document names ${other(error)}`, exactly(issuer)];
  }
  if (error instanceof oauth.UnsupportedOperationError && error.message.startsWith("JWE")) {
    return [
      "id_token_invalid",
      "the ID token is encrypted, and this client has no key to read it with",
      "Switch off the encryption of ID tokens for this client.",
    ];
  }
  // The messages of oauth4webapi's errors are fixed texts; their causes are not, and are left out.
  const text = error instanceof Error ? printable(error.message) : "unknown error";
  if (isAboutIdToken(code) || /\bJW[TSK]\b|id_token|signature/i.test(text)) {
    return [
      "id_token_invalid",
      `the ID token failed its checks: ${text}`,
      "Check this computer's clock and the client id, then ask who runs the provider.",
    ];
  }
  return [
    "provider_invalid",
    `its answer breaks the protocol: ${text}`,
    "Check the issuer, then ask who runs the provider.",
  ];
}

function other(error: unknown): string {
  const stated = (error as { cause?: { body?: { issuer?: unknown } } }).cause?.body?.issuer;
  return `another issuer${typeof stated === "string" ? `, ${printable(stated)}` : ""}`;
}

function exactly(issuer: string): string {
  return isEntraIssuer(issuer)
    ? `Give the issuer with the tenant's id: ${new URL(issuer).origin}/<tenant id>/v2.0.`
    : "Give the issuer exactly as the provider states it.";
}

function isAboutIdToken(code: unknown): boolean {
  return code === oauth.JWT_CLAIM_COMPARISON || code === oauth.JWT_TIMESTAMP_CHECK ||
    code === oauth.KEY_SELECTION;
}
