import type { Json } from "../../backends/common/json.ts";
/** Some thirty years. A longer lifetime would leave the range of dates. */
const MAX_SECONDS = 1e9;

/** An answer as oauth4webapi takes it. */
export interface Answer {
  status: number;
  body: Json;
}

/** Puts right a document: discovery, keys. `undefined` for any other answer. */
export function normalizeDocument(status: number, json: Json | undefined): Answer | undefined {
  if (status !== 200 || json === undefined) return undefined;
  return { status, body: withoutBlanks(json) };
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
  if (json === undefined || status < 200 || status > 299) return undefined;
  const body = withoutBlanks(json);
  const { error = false } = body;
  if (error !== false) return undefined;
  return { status: 200, body: normalizeBody(body) };
}

/** The members of an answer that have a value. */
function withoutBlanks(json: Json): Json {
  const members = Object.entries(json);
  return Object.fromEntries(members.filter(([, value]) => value !== null && value !== ""));
}

/** Puts right tokens: a type that is left out, a lifetime as a text. */
export function normalizeTokens({ expires_in, ...tokens }: Json): Json {
  return { token_type: "Bearer", ...tokens, expires_in: positiveNumber(expires_in) };
}

/** A number above 0, also as a string; any other value counts as absent. */
export function positiveNumber(value: unknown): number | undefined {
  const number = typeof value === "string" ? parseFloat(value) : value;
  if (typeof number !== "number" || !Number.isFinite(number) || number <= 0) return undefined;
  return Math.min(number, MAX_SECONDS);
}
