import type { ProviderStep } from "./provider_fetch.ts";

type Json = Record<string, unknown>;

/** An answer as oauth4webapi takes it. */
export interface Answer {
  status: number;
  body: Json;
}

/** Lifetime of a device code where the provider does not say: as in the Python library. */
const DEFAULT_CODE_SECONDS = 900;
/** Some thirty years: more would leave the range of dates, and nobody means it. */
const MAX_SECONDS = 1e9;

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
