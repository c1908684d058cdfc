import type { Json } from "../../backends/common/json.ts";
import type { AskedFor } from "./refusal.ts";

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
  /** The question that a refusal answers. At the token endpoint the grant tells it. */
  readonly at: AskedFor | "token";
  /**
   * Puts right the deviations of providers that are known and safe to accept, since oauth4webapi is
   * strict.
   *
   * @param json The body, where it is a JSON object.
   * @returns `undefined` where the answer is not a success: the table of refusals has its meaning.
   */
  normalize(status: number, json: Json | undefined): Answer | undefined;
}

/** The discovery document. */
export const DISCOVERY: Endpoint = {
  name: "discovery",
  at: "find",
  normalize(status, json) {
    // Microsoft Entra answers 400 and a JSON error where it does not know the tenant.
    const isAbsent = status === 404 || status === 400 && typeof json?.error === "string";
    if (isAbsent) return { status: 404, body: {} };
    return normalizeDocument(status, json);
  },
};

/** The keys that sign ID tokens. */
export const JWKS: Endpoint = { name: "jwks", at: "find", normalize: normalizeDocument };

/** The token endpoint, for every grant. */
export const TOKEN: Endpoint = {
  name: "token",
  at: "token",
  normalize: normalizeGrant(normalizeTokens),
};

/** The revocation endpoint, whose answer needs no body. */
export const REVOCATION: Endpoint = {
  name: "revocation",
  at: "revoke",
  normalize: (status) => normalizeGrant((body) => body)(status, {}),
};

/** Puts right a document: discovery, keys. `undefined` for any other answer. */
function normalizeDocument(status: number, json: Json | undefined): Answer | undefined {
  if (status !== 200 || !json) return undefined;
  return { status, body: withoutBlanks(json) };
}

/**
 * Gives a function that puts right the success of a grant: explicit nulls and empty texts. It gives
 * `undefined` for any other answer. An error is one whatever its status.
 *
 * @param normalizeBody Puts right the fields.
 * @param success The status that oauth4webapi wants.
 */
export function normalizeGrant(normalizeBody: (body: Json) => Json, success = 200) {
  return (status: number, json: Json | undefined): Answer | undefined => {
    if (!json || status >= 400) return undefined;
    const body = withoutBlanks(json);
    const { error = false } = body;
    if (error !== false) return undefined;
    return { status: success, body: normalizeBody(body) };
  };
}

/** The members of an answer that have a value. A list that is not an array has none. */
function withoutBlanks(json: Json): Json {
  const members = Object.entries(json).filter(([name, value]) => {
    if (name.endsWith("s_supported")) return Array.isArray(value);
    return value !== null && value !== "";
  });
  return Object.fromEntries(members);
}

/** Puts right tokens: a type that is left out or has "token" in it, a lifetime as a text, scopes as a list. */
function normalizeTokens(body: Json): Json {
  const { token_type = "Bearer", scope, expires_in, ...tokens } = body;
  const scopes = [scope].flat().filter((one) => typeof one === "string");
  return {
    ...tokens,
    token_type: String(token_type).replace(/[-_ ]?token$/i, ""),
    scope: scopes.join(" ") || undefined,
    expires_in: positiveNumber(expires_in),
  };
}

/** A number above 0, also as a string; any other value counts as absent. */
export function positiveNumber(value: unknown): number | undefined {
  const number = typeof value === "string" ? parseFloat(value) : value;
  if (typeof number !== "number" || !Number.isFinite(number) || number <= 0) return undefined;
  return Math.min(number, MAX_SECONDS);
}
