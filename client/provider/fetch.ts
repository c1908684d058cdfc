import { untilAborted } from "../../backends/common/delay.ts";
import { netHost } from "../../backends/common/hosts.ts";
import { ValidMindAuthError } from "../errors.ts";
import { printable, readText, redact, safeCause } from "../../backends/common/printable.ts";
import { isProtocolError, parseRetryAfter, ProviderUnavailableError } from "./error.ts";
import { secureUrl } from "../options/resolve_identity.ts";
import type { Runtime } from "../options/runtime.ts";

/** Which request to the provider an answer belongs to. */
export type ProviderStep = "discovery" | "jwks" | "device" | "token" | "revocation";

type Json = Record<string, unknown>;

/** More than any answer of a provider needs, and too little to fill the memory. */
const MAX_BYTES = 4 * 1024 * 1024;
/** Lifetime of a device code where the provider does not say: as in the Python library. */
const DEFAULT_CODE_SECONDS = 900;
/** Some thirty years: more would leave the range of dates, and nobody means it. */
const MAX_SECONDS = 1e9;

/**
 * A `fetch` for oauth4webapi that stands between it and the provider: it limits time and size
 * (body included), never follows a redirect, and puts the known deviations of providers right
 * before oauth4webapi, which is strict, sees the answer.
 *
 * @param capture Gets the normalised answer before oauth4webapi judges it.
 * @param secrets What an error must not show beside the secrets in the request's form.
 */
export function providerFetch(
  step: ProviderStep,
  runtime: Runtime,
  capture: (answer: Record<string, unknown>) => void = () => {},
  secrets: readonly string[] = [],
) {
  return async (url: string, init: RequestInit): Promise<Response> => {
    secureUrl(url, `use the provider's ${step} endpoint:`);
    const { response, text } = await fetchText(url, init, runtime);
    if (response.status >= 300 && response.status < 400) {
      throw new ProviderUnavailableError(
        `Cannot use ${place(url)}: it redirects elsewhere, and tokens do not follow. Check the ` +
          `issuer, and that no network or proxy asks for a sign-in of its own.`,
      );
    }
    const answer = readAnswer(step, url, response, text);
    const body = withoutEcho(answer.body, init, secrets);
    capture(body);
    return rebuild({ ...answer, body }, response.headers);
  };
}

async function fetchText(url: string, init: RequestInit, { fetch, timeoutMs }: Runtime) {
  // Not by setTimeout, whose first use in a process takes Deno some 4 ms.
  const timeout = AbortSignal.timeout(timeoutMs);
  const signal = init.signal ? AbortSignal.any([init.signal, timeout]) : timeout;
  try {
    const request = { ...init, body: sentOnce(init.body), signal };
    // A fetch of the caller's may not pass the signal on.
    const response = await untilAborted(fetch(url, request), signal);
    return { response, text: await readLimited(response, url, signal) };
  } catch (error) {
    if (init.signal?.aborted) throw init.signal.reason;
    if (error instanceof ValidMindAuthError) throw error;
    throw unreachable(url, error, timeout.aborted ? timeoutMs : undefined);
  }
}

/**
 * Deno sends a text body again when a kept connection ends before the answer (denoland/deno#32566),
 * and a refresh token that is sent twice looks stolen. A Blob is sent once.
 */
function sentOnce(body: BodyInit | null | undefined): BodyInit | null | undefined {
  return body instanceof URLSearchParams ? new Blob([body.toString()]) : body;
}

async function readLimited(response: Response, url: string, signal: AbortSignal): Promise<string> {
  const text = await readText(response, signal, MAX_BYTES);
  if (text !== undefined) return text;
  throw new ProviderUnavailableError(
    `Cannot read the answer of ${place(url)}: it is larger than ${MAX_BYTES} bytes. ` +
      `Check the issuer.`,
  );
}

function readAnswer(step: ProviderStep, url: string, response: Response, text: string): Answer {
  if (step === "revocation" && response.ok) return { status: 200, body: {} };
  const answer = normalizeAnswer(step, response.status, parseObject(text));
  if (answer !== undefined) return answer;
  throw new ProviderUnavailableError(
    `Cannot use the answer of ${place(url)}: it has status ${response.status} and is not what a ` +
      `provider sends here (${
        describe(response)
      }). Check the network (a proxy, a sign-in page of ` +
      `its own), and try again.`,
    { retryAfterMs: parseRetryAfter(response.headers.get("retry-after")) },
  );
}

function rebuild({ status, body }: Answer, received: Headers): Response {
  const headers = new Headers({ "content-type": "application/json" });
  for (const name of ["date", "retry-after", "dpop-nonce"]) {
    const value = received.get(name);
    if (value !== null) headers.set(name, value);
  }
  return new Response(JSON.stringify(body), { status, headers });
}

/** An error's words, without the secrets that the provider was sent and may have echoed. */
function withoutEcho(
  body: Record<string, unknown>,
  { body: sent, headers }: RequestInit,
  others: readonly string[],
): Record<string, unknown> {
  if (typeof body.error !== "string" || !(sent instanceof URLSearchParams)) return body;
  const names = ["refresh_token", "device_code", "code_verifier", "token"];
  const basic = new Headers(headers).get("authorization")?.replace(/^Basic /, "");
  const secrets = [...names.flatMap((name) => sent.get(name) ?? []), ...others, basic ?? ""];
  // A short secret may be part of such a name, and what it decides must not hang on that.
  const error = isProtocolError(body.error) ? body.error : redact(body.error, secrets);
  return {
    error: /^[\w.-]{1,60}$/.test(error) ? error : "an error without a proper name",
    ...(typeof body.error_description === "string" &&
      { error_description: redact(body.error_description, secrets) }),
  };
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function unreachable(url: string, error: unknown, timeoutMs?: number): ValidMindAuthError {
  if (error instanceof Deno.errors.NotCapable) {
    const host = netHost(new URL(url));
    return new ValidMindAuthError(
      "permission_required",
      `Cannot reach ${place(url)}: Deno does not permit it. Run with: --allow-net=${host}`,
    );
  }
  const doubt = certificateDoubt(error);
  if (doubt !== undefined) {
    return new ProviderUnavailableError(
      `Cannot reach ${place(url)}: its certificate is not trusted (${doubt}). If a company's own ` +
        `authority has made it, set DENO_TLS_CA_STORE=system, or DENO_CERT to the file of the ` +
        `authority's certificate; else do not sign in here.`,
      safeCause(error),
    );
  }
  const reason = timeoutMs === undefined
    ? `the connection failed${error instanceof Error ? ` (${error.name})` : ""}`
    : `there was no whole answer within ${timeoutMs} ms`;
  return new ProviderUnavailableError(
    `Cannot reach ${
      place(url)
    }: ${reason}. Check the network, a proxy (HTTPS_PROXY, NO_PROXY) and ` +
      `the certificates (DENO_TLS_CA_STORE, DENO_CERT), and try again.`,
    safeCause(error),
  );
}

/** Deno has no class of its own for it: the text is all there is, and chooses the advice alone. */
function certificateDoubt(error: unknown): string | undefined {
  if (!(error instanceof TypeError)) return undefined;
  const text = `${error.message} ${error.cause instanceof Error ? error.cause.message : ""}`;
  const [, doubt] = /invalid peer certificate: ([^\n]+)/.exec(text) ?? [];
  return doubt && printable(doubt, 150);
}

/** Without a query: nothing that a provider put there is shown. */
function place(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

function describe(response: Response): string {
  return printable(response.headers.get("content-type") ?? "no content type", 60);
}

/** An answer as oauth4webapi takes it. */
export interface Answer {
  status: number;
  body: Json;
}

/**
 * Puts right what providers are known to deviate in and what is safe to accept: explicit nulls
 * and empty texts, numbers as strings, `verification_url`, a missing `token_type` or lifetime, an
 * interval of 0, and errors whose status is not 400 (200, 401, 428, 429).
 *
 * @returns `undefined` when the answer decides nothing: not JSON, 429 or 5xx.
 */
export function normalizeAnswer(
  step: ProviderStep,
  status: number,
  json: Json | undefined,
): Answer | undefined {
  if (step === "discovery" && isAbsent(status, json)) return { status: 404, body: {} };
  if (json === undefined) return undefined;
  const body = Object.fromEntries(
    Object.entries(json).filter(([, value]) => value !== null && value !== ""),
  );
  if (step === "discovery" || step === "jwks") {
    return status === 200 ? { status, body } : undefined;
  }
  if (typeof body.error === "string") return normalizeError(status, body);
  if (status < 200 || status > 299) return undefined;
  return { status: 200, body: step === "device" ? normalizeDevice(body) : normalizeTokens(body) };
}

/** Microsoft Entra answers 400 and a JSON error where it does not know the tenant. */
function isAbsent(status: number, json: Json | undefined): boolean {
  return status === 404 || (status === 400 && typeof json?.error === "string");
}

function normalizeError(status: number, body: Json): Answer | undefined {
  const isWaiting = body.error === "authorization_pending" || body.error === "slow_down";
  const isFault = status === 429 || status >= 500 || body.error === "server_error" ||
    body.error === "temporarily_unavailable";
  return isFault && !isWaiting ? undefined : { status: 400, body };
}

function normalizeDevice(body: Json): Json {
  const { verification_url, verification_url_complete, interval, expires_in, ...rest } = body;
  const seconds = positive(interval);
  return {
    ...(verification_url !== undefined && { verification_uri: verification_url }),
    ...(verification_url_complete !== undefined &&
      { verification_uri_complete: verification_url_complete }),
    ...rest,
    ...(seconds !== undefined && { interval: seconds }),
    expires_in: positive(expires_in) ?? DEFAULT_CODE_SECONDS,
  };
}

function normalizeTokens(body: Json): Json {
  const { expires_in, ...tokens } = body;
  const seconds = positive(expires_in);
  return { token_type: "Bearer", ...tokens, ...(seconds !== undefined && { expires_in: seconds }) };
}

/** A number above 0, also out of a string; whatever else it is counts as not said. */
function positive(value: unknown): number | undefined {
  const number = typeof value === "string" ? parseFloat(value) : value;
  if (typeof number !== "number" || !Number.isFinite(number) || number <= 0) return undefined;
  return Math.min(number, MAX_SECONDS);
}
