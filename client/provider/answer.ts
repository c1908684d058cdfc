type Json = Record<string, unknown>;

/** Some thirty years. A longer lifetime would leave the range of dates. */
const MAX_SECONDS = 1e9;

/** An answer as oauth4webapi takes it. */
export interface Answer {
  status: number;
  body: Json;
}

/** One of a provider's endpoints. */
export interface Endpoint {
  /** Its name in messages. */
  readonly name: string;
  /**
   * Puts right the deviations of providers that are known and safe to accept, since oauth4webapi is
   * strict.
   *
   * @param json The body, where it is a JSON object.
   * @returns `undefined` where the answer decides nothing, such as an answer that is no JSON.
   */
  normalize(status: number, json: Json | undefined): Answer | undefined;
}

/** The discovery document. */
export const DISCOVERY: Endpoint = {
  name: "discovery",
  normalize: (status, json) =>
    isAbsent(status, json) ? { status: 404, body: {} } : normalizeDocument(status, json),
};

/** The keys that sign ID tokens. */
export const JWKS: Endpoint = { name: "jwks", normalize: normalizeDocument };

/** The token endpoint, for every grant. */
export const TOKEN: Endpoint = {
  name: "token",
  normalize: (status, json) => normalizeGrant(status, json, normalizeTokens),
};

/** The revocation endpoint, whose answer needs no body. */
export const REVOCATION: Endpoint = {
  name: "revocation",
  normalize: (status, json) =>
    status >= 200 && status <= 299
      ? { status: 200, body: {} }
      : normalizeGrant(status, json, (body) => body),
};

/** Microsoft Entra answers 400 and a JSON error where it does not know the tenant. */
function isAbsent(status: number, json: Json | undefined): boolean {
  return status === 404 || (status === 400 && typeof json?.error === "string");
}

function normalizeDocument(status: number, json: Json | undefined): Answer | undefined {
  return status === 200 && json !== undefined ? { status, body: withoutBlanks(json) } : undefined;
}

/**
 * Puts right an answer of a grant: explicit nulls, empty texts, and errors whose status is not 400
 * (200, 401, 428, 429).
 *
 * @param normalizeBody Puts right the fields of a success.
 * @returns `undefined` where the answer decides nothing: no JSON, 429 or 5xx.
 */
export function normalizeGrant(
  status: number,
  json: Json | undefined,
  normalizeBody: (body: Json) => Json,
): Answer | undefined {
  if (json === undefined) return undefined;
  const body = withoutBlanks(json);
  if (typeof body.error === "string") return normalizeError(status, body);
  if (status < 200 || status > 299) return undefined;
  return { status: 200, body: normalizeBody(body) };
}

function withoutBlanks(json: Json): Json {
  return Object.fromEntries(
    Object.entries(json).filter(([, value]) => value !== null && value !== ""),
  );
}

function normalizeError(status: number, body: Json): Answer | undefined {
  const isWaiting = body.error === "authorization_pending" || body.error === "slow_down";
  const isFault = status === 429 || status >= 500 || body.error === "server_error" ||
    body.error === "temporarily_unavailable";
  return isFault && !isWaiting ? undefined : { status: 400, body };
}

function normalizeTokens(body: Json): Json {
  const { expires_in, ...tokens } = body;
  const seconds = positiveNumber(expires_in);
  return { token_type: "Bearer", ...tokens, ...(seconds !== undefined && { expires_in: seconds }) };
}

/** A number above 0, also as a string; any other value counts as absent. */
export function positiveNumber(value: unknown): number | undefined {
  const number = typeof value === "string" ? parseFloat(value) : value;
  if (typeof number !== "number" || !Number.isFinite(number) || number <= 0) return undefined;
  return Math.min(number, MAX_SECONDS);
}
