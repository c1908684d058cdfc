import {
  connectionAdvice,
  connectionFault,
  UNTRUSTED,
} from "../../backends/common/connection_fault.ts";
import { causeFrom } from "../../backends/common/foreign_error.ts";
import { netHost } from "../../backends/common/host.ts";
import { parseHttpDate, parseRetryAfter, readText } from "../../backends/common/http_answer.ts";
import { parseObject } from "../../backends/common/json.ts";
import { assertNet, isNotCapable, permissionFlag } from "../../backends/common/permission.ts";
import { printable } from "../../backends/common/printable.ts";
import { untilAborted } from "../../backends/common/promises.ts";
import { redact, remember } from "../../backends/common/redaction.ts";
import { ProviderUnavailableError, ValidMindAuthError } from "../errors.ts";
import { named } from "../options/declaration.ts";
import { secureUrl } from "../options/resolve_identity.ts";
import type { Runtime } from "../options/resolve_options.ts";
import { adviceByWords, isProtocolError, refusedWithoutWords } from "./error.ts";

/** Limit of an error's words, of which people see 200 characters. */
const LONGEST_WORDS = 2000;
/** Limit of an answer: more than any provider sends, and too little to fill the memory. */
const MAX_BYTES = 4 * 1024 * 1024;
/** A timer that is later than this shows that the process stood still, in milliseconds. */
const LATE_MS = 20;
/** Time for an answer that has come meanwhile, in milliseconds. */
const AWAKE_MS = 2000;
/** A larger difference of clocks is not corrected for an ID token: certificates fail by it, too. */
export const MAX_SKEW_SECONDS = 15 * 60;
const DAY_SECONDS = 24 * 60 * 60;
/** Some thirty years. A longer lifetime would leave the range of dates. */
const MAX_SECONDS = 1e9;

type Json = Record<string, unknown>;

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
   * @returns `undefined` where the answer decides nothing, such as an answer that is not JSON.
   */
  normalize(status: number, json: Json | undefined): Answer | undefined;
}

/** The discovery document. */
export const DISCOVERY: Endpoint = {
  name: "discovery",
  // Microsoft Entra answers 400 and a JSON error where it does not know the tenant.
  normalize: (status, json) =>
    status === 404 || status === 400 && isRefusal(json)
      ? { status: 404, body: {} }
      : normalizeDocument(status, json),
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

/** The fields of an answer that are secrets. */
const SECRET_FIELDS = ["access_token", "refresh_token", "id_token", "device_code"];

/**
 * The fields of a form that are secrets. The code of a browser is known since its answer. A pushed request
 * also has fields of the caller, and a word such as their "de" must not be removed from later messages.
 */
const SENT_SECRETS = [
  ...SECRET_FIELDS,
  "client_assertion",
  "code_verifier",
  "id_token_hint",
  "subject_token",
  "token",
];

/** The statuses by which some providers refuse a client without a word. */
const REFUSALS = [400, 401, 403];

/**
 * A `fetch` for oauth4webapi: limits the time and the size of an answer, body included, follows no
 * redirect, and puts right the known deviations of providers. The session knows the secrets of the
 * request and of the answer from then on.
 *
 * @param capture Gets the normalized answer before oauth4webapi judges it.
 */
export function providerFetch(
  endpoint: Endpoint,
  runtime: Runtime,
  capture?: (answer: Json) => void,
) {
  const { secrets } = runtime;
  return async (url: string, init: RequestInit): Promise<Response> => {
    secureUrl(url, "it", `use the provider's ${endpoint.name} endpoint`);
    remember(secrets, secretsOf(init));
    const { response, text } = await fetchText(endpoint, url, init, runtime);
    const { status, headers } = response;
    runtime.emit?.({ type: "provider_answered", endpoint: endpoint.name, status });
    // A cache, as Google has for its keys, gives the time of its copy.
    const date = headers.has("age") ? null : headers.get("date");
    runtime.skew = providerSkew(date) ?? runtime.skew;
    if (status >= 300 && status < 400) {
      const reason = "it redirects to another address, to which no token is sent";
      throw unusable(
        url,
        reason,
        "Check the issuer, and that no network or proxy asks for a sign-in of its own.",
      );
    }
    const json = parseObject(text);
    remember(secrets, SECRET_FIELDS.map((name) => json?.[name]));
    if (init.method === "POST" && text.trim() === "" && REFUSALS.includes(status)) {
      throw refusedWithoutWords(place(url), response);
    }
    const answer = endpoint.normalize(status, json);
    if (answer === undefined) throw notUsable(url, response, json, secrets);
    if (isRefusal(answer.body)) answer.body = withoutEcho(answer.body, secrets);
    capture?.(answer.body);
    return rebuild(answer, headers);
  };
}

function secretsOf({ body, headers }: RequestInit): (string | undefined)[] {
  const fields = body instanceof URLSearchParams ? [...body] : [];
  const credential = new Headers(headers).get("authorization")?.replace(/^\w+ /, "");
  return [
    credential,
    ...fields.flatMap(([name, value]) => SENT_SECRETS.includes(name) ? value : []),
  ];
}

/**
 * How far the provider's clock is ahead of this computer's, in seconds, by the `Date` header of an answer;
 * without one (Keycloak sends none) by the `iat` of the ID token that it brought. `undefined` where
 * neither tells.
 */
export function providerSkew(date: string | null, issuedAt?: unknown): number | undefined {
  const byDate = parseHttpDate(date);
  const isDated = !Number.isNaN(byDate);
  const time = isDated ? byDate : typeof issuedAt === "number" ? issuedAt * 1000 : NaN;
  const seconds = Math.round((time - Date.now()) / 1000);
  return Math.abs(seconds) <= (isDated ? DAY_SECONDS : MAX_SKEW_SECONDS) ? seconds : undefined;
}

async function fetchText(
  endpoint: Endpoint,
  url: string,
  init: RequestInit,
  { fetch, timeoutMs, secrets }: Runtime,
) {
  using limit = timeLimit(timeoutMs);
  const signal = init.signal ? AbortSignal.any([init.signal, limit.signal]) : limit.signal;
  try {
    if (fetch === globalThis.fetch) assertNet(new URL(url));
    const request = { ...init, body: sentOnce(init.body), signal };
    // The caller's `fetch` may not pass the signal on.
    const response = await untilAborted(fetch(url, request), signal);
    // One whole object of JSON counts, however its connection ends.
    const isWhole = (text: string) => parseObject(text) !== undefined;
    const text = await readText(response, signal, MAX_BYTES, "refuse", isWhole);
    if (text === undefined) {
      throw unusable(url, `it is larger than ${MAX_BYTES} bytes`, "Check the issuer.");
    }
    return { response, text };
  } catch (error) {
    if (init.signal?.aborted) throw init.signal.reason;
    if (error instanceof ValidMindAuthError) throw error;
    const ms = limit.signal.aborted ? timeoutMs : undefined;
    throw unreachable(endpoint, url, error, secrets, ms);
  }
}

/**
 * The time limit of a request. A process that stood still, such as on a closed laptop, wakes with the
 * limit passed and perhaps with the answer at hand. It gets some time to read that: a refresh token is
 * spent, and its successor would be lost.
 */
function timeLimit(ms: number): { signal: AbortSignal } & Disposable {
  const [end, done] = [new AbortController(), new AbortController()];
  const due = performance.now() + ms;
  // Not by setTimeout, whose first use in a process takes Deno some 4 ms.
  const after = (wait: number, run: () => void) =>
    AbortSignal.timeout(Math.ceil(wait)).addEventListener("abort", run, { signal: done.signal });
  const stop = () => end.abort();
  after(ms, () => performance.now() - due > LATE_MS ? after(AWAKE_MS, stop) : stop());
  return { signal: end.signal, [Symbol.dispose]: () => done.abort() };
}

/**
 * Deno sends a text body again when a kept connection ends before the answer (denoland/deno#32566). A
 * refresh token that is sent twice looks stolen. A Blob is sent once.
 */
function sentOnce(body: BodyInit | null | undefined): BodyInit | null | undefined {
  return body instanceof URLSearchParams ? new Blob([body.toString()]) : body;
}

/** The normalized answer. oauth4webapi takes a challenge for its end, whatever the body says. */
function rebuild({ status, body }: Answer, received: Headers): Response {
  const headers = new Headers(received);
  headers.delete("www-authenticate");
  headers.set("content-type", "application/json");
  return new Response(JSON.stringify(body), { status, headers });
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

/** The lists of a discovery document. */
const LIST = /(methods|scopes|types|values)_supported$/;

/** The members of an answer that have a value. A list that is not an array has none. */
function withoutBlanks(json: Json): Json {
  return Object.fromEntries(
    Object.entries(json).filter(([name, value]) =>
      LIST.test(name) ? Array.isArray(value) : value !== null && value !== ""
    ),
  );
}

function normalizeError(status: number, body: Json): Answer | undefined {
  const isWaiting = body.error === "authorization_pending" || body.error === "slow_down";
  const isFault = [408, 425, 429].includes(status) || status >= 500 ||
    body.error === "server_error" ||
    body.error === "temporarily_unavailable";
  return isFault && !isWaiting ? undefined : { status: 400, body };
}

function normalizeTokens(body: Json): Json {
  const { expires_in, scope, token_type = "", ...tokens } = body;
  const words = Array.isArray(scope) ? scope.join(" ") : scope;
  return {
    token_type: /^(bearer([-_ ]?token)?)?$/i.test(String(token_type)) ? "Bearer" : token_type,
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

/** Whether a body is an OAuth error. */
function isRefusal(body: Json | undefined): body is Json & { error: string } {
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
function notUsable(
  url: string,
  { status, headers }: Response,
  json: Json | undefined,
  secrets: Iterable<string>,
): ProviderUnavailableError {
  const said = isRefusal(json) ? Object.values(withoutEcho(json, secrets)).join(": ") : "";
  const type = printable(redact(headers.get("content-type") ?? "no content type", secrets), 60);
  const reason = said === ""
    ? `it has status ${status} and no usable JSON (${type})`
    : `the provider answered with status ${status} (${printable(said)})`;
  const isBusy = status === 429 || status >= 500;
  const advice = adviceByWords(said) ??
    (isBusy
      ? "Try again later, then ask the administrator of the provider, or of a proxy before it."
      : "Check that no network or proxy asks for a sign-in of its own, and try again.");
  return unusable(url, reason, advice, parseRetryAfter(headers.get("retry-after")));
}

function unusable(url: string, reason: string, advice: string, retryAfterMs?: number) {
  const action = `use the answer of ${place(url)}`;
  return new ProviderUnavailableError({ action, reason, remedy: advice, retryAfterMs });
}

/** The error for a request without an answer. */
function unreachable(
  endpoint: Endpoint,
  url: string,
  error: unknown,
  secrets: Iterable<string>,
  timeoutMs?: number,
): ValidMindAuthError {
  if (isNotCapable(error)) {
    const flag = permissionFlag("net", netHost(new URL(url)));
    return new ValidMindAuthError("permission_required", {
      action: `reach ${place(url)}`,
      reason: "Deno does not permit it",
      remedy: `Run with: ${flag}`,
    });
  }
  const fault = connectionFault(error, timeoutMs);
  const advice = fault === UNTRUSTED
    ? "If your company's own authority has made it, set DENO_TLS_CA_STORE=system, or DENO_CERT to the " +
      "file of the authority's certificate. Otherwise do not sign in here."
    : `Check ${endpoint === DISCOVERY ? named("issuer") : "this address"}, ` +
      `${connectionAdvice(fault)}`;
  return new ProviderUnavailableError({
    action: `reach ${place(url)}`,
    reason: fault ?? "the connection failed",
    remedy: advice,
    cause: timeoutMs ? undefined : causeFrom(error, secrets),
  });
}

/** An address for messages, without its query, whose text is the provider's. */
function place(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}
