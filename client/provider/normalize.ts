/** Some thirty years. A longer lifetime would leave the range of dates. */
const MAX_SECONDS = 1e9;

type Json = Record<string, unknown>;

/** An answer as oauth4webapi takes it. */
export interface Answer {
  status: number;
  body: Json;
}

/** The lists of a discovery document. */
const LIST = /(methods|scopes|types|values)_supported$/;

/** Puts right a document: discovery, keys. `undefined` for any other answer. */
export function normalizeDocument(status: number, json: Json | undefined): Answer | undefined {
  return status === 200 && json !== undefined ? { status, body: withoutBlanks(json) } : undefined;
}

/**
 * Puts right the success of a grant: explicit nulls and empty texts.
 *
 * @param normalizeBody Puts right its fields.
 * @returns `undefined` for any other answer. An error is one whatever its status.
 */
export function normalizeGrant(
  status: number,
  json: Json | undefined,
  normalizeBody: (body: Json) => Json,
): Answer | undefined {
  if (json === undefined || !isSuccess(status)) return undefined;
  const body = withoutBlanks(json);
  const { error = false } = body;
  return error === false ? { status: 200, body: normalizeBody(body) } : undefined;
}

/** Whether a status is one of success. */
export function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

/** The members of an answer that have a value. A list that is not an array has none. */
function withoutBlanks(json: Json): Json {
  const hasValue = (name: string, value: unknown) =>
    LIST.test(name) ? Array.isArray(value) : value !== null && value !== "";
  return Object.fromEntries(Object.entries(json).filter(([name, value]) => hasValue(name, value)));
}

/** Puts right tokens: the case of their type, numbers as texts, lists of scopes. */
export function normalizeTokens(body: Json): Json {
  const { expires_in, scope, token_type = "", ...tokens } = body;
  const isBearer = /^(bearer([-_ ]?token)?)?$/i.test(String(token_type));
  const words = Array.isArray(scope) ? scope.join(" ") : scope;
  return {
    token_type: isBearer ? "Bearer" : token_type,
    ...tokens,
    expires_in: positiveNumber(expires_in),
    scope: typeof words === "string" ? words : undefined,
  };
}

/** A number above 0, also as a string; any other value counts as absent. */
export function positiveNumber(value: unknown): number | undefined {
  const number = typeof value === "string" ? parseFloat(value) : value;
  if (typeof number !== "number" || !Number.isFinite(number) || number <= 0) return undefined;
  return Math.min(number, MAX_SECONDS);
}
