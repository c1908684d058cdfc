import { isNotCapable, netHost, permissionFlag } from "../../backends/common/platform.ts";
import {
  connectionAdvice,
  connectionFault,
  parseRetryAfter,
  printable,
  safeCause,
  UNTRUSTED,
} from "../../backends/common/printable.ts";
import { redact } from "../../backends/common/redact.ts";
import { ProviderUnavailableError, ValidMindAuthError } from "../errors.ts";
import { adviceByWords, isProtocolError } from "./error.ts";
import { words } from "../../backends/credentials_backend_error.ts";

/** Limit of an error's words, of which people see 200 characters. */
const LONGEST_WORDS = 2000;

type Json = Record<string, unknown>;

/** Whether a body is an OAuth error. */
export function isRefusal(body: Json | undefined): body is Json & { error: string } {
  return typeof body?.error === "string";
}

/** The error of an answer, without the secrets that its words may repeat. */
export function withoutEcho(
  { error, error_description }: { error: string; error_description?: unknown },
  secrets: Iterable<string>,
): { error: string; error_description?: string } {
  const clean = (text: string) => redact(text.slice(0, LONGEST_WORDS), secrets);
  // A short secret may be part of an error code, and the code still has to decide the same.
  const name = isProtocolError(error) ? error : clean(error);
  return {
    error: /^[\w.-]{1,60}$/.test(name) ? name : "an error without a proper name",
    ...(typeof error_description === "string" && { error_description: clean(error_description) }),
  };
}

/** The error for an answer that decides nothing. */
export function notUsable(
  url: string,
  { status, headers }: Response,
  json: Json | undefined,
  secrets: Iterable<string>,
): ProviderUnavailableError {
  const retryAfterMs = parseRetryAfter(headers.get("retry-after"));
  const said = isRefusal(json) ? Object.values(withoutEcho(json, secrets)).join(": ") : "";
  const type = printable(headers.get("content-type") ?? "no content type", 60);
  const isBroken = json === undefined && /\bjson\b/.test(type);
  const nothing = isBroken
    ? "its body is no valid JSON object"
    : `is no answer of a provider (${type})`;
  const reason = said === ""
    ? `it has status ${status} and ${nothing}`
    : `the provider answered with status ${status} (${printable(said)})`;
  const isBusy = status === 429 || status >= 500;
  const advice = adviceByWords(said) ??
    (isBusy
      ? "Try again later, then ask who runs the provider, or a proxy before it."
      : "Check the network (a proxy, a sign-in page of its own), and try again.");
  return new ProviderUnavailableError(
    words`Cannot use the answer of ${place(url)}: ${reason}. ${advice}`,
    { retryAfterMs },
  );
}

/** The error for an answer that leads elsewhere. */
export function redirected(url: string): ProviderUnavailableError {
  return new ProviderUnavailableError(
    `Cannot use ${place(url)}: it redirects elsewhere, and tokens do not follow. Check the ` +
      `issuer, and that no network or proxy asks for a sign-in of its own.`,
  );
}

/** The error for an answer that is longer than any provider's. */
export function tooLarge(url: string, maxBytes: number): ProviderUnavailableError {
  return new ProviderUnavailableError(
    `Cannot read the answer of ${place(url)}: it is larger than ${maxBytes} bytes. ` +
      `Check the issuer.`,
  );
}

/** The error for a request without an answer. */
export function unreachable(url: string, error: unknown, timeoutMs?: number): ValidMindAuthError {
  if (isNotCapable(error)) {
    const flag = permissionFlag("net", netHost(new URL(url)));
    return new ValidMindAuthError(
      "permission_required",
      `Cannot reach ${place(url)}: Deno does not permit it. Run with: ${flag}`,
    );
  }
  const fault = timeoutMs === undefined
    ? connectionFault(error)
    : `there was no whole answer within ${timeoutMs} ms`;
  const advice = fault === UNTRUSTED
    ? "If a company's own authority has made it, set DENO_TLS_CA_STORE=system, or DENO_CERT to the " +
      "file of the authority's certificate; else do not sign in here."
    : connectionAdvice(fault, "the issuer");
  return new ProviderUnavailableError(
    `Cannot reach ${place(url)}: ${fault ?? "the connection failed"}. ${advice}`,
    safeCause(error),
  );
}

/** An address for messages, without its query, whose text is the provider's. */
export function place(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}
