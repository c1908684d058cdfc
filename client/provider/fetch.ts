import {
  assertSafe,
  connectionAdvice,
  connectionFault,
  UNTRUSTED,
} from "../../backends/common/connection_fault.ts";
import { causeFrom } from "../../backends/common/foreign_error.ts";
import { netHost } from "../../backends/common/host.ts";
import { parseHttpDate, parseRetryAfter, readText } from "../../backends/common/http_answer.ts";
import { parseObject } from "../../backends/common/json.ts";
import { isNotCapable } from "../../backends/common/permission.ts";
import { printable } from "../../backends/common/printable.ts";
import { runLater, untilAborted } from "../../backends/common/promises.ts";
import { redact, remember } from "../../backends/common/redaction.ts";
import { netDenied, ProviderUnavailableError, ValidMindAuthError } from "../errors.ts";
import { named } from "../options/declaration.ts";
import { secureUrl } from "../options/resolve_identity.ts";
import type { Runtime } from "../options/resolve_options.ts";
import { type Answer, DISCOVERY, type Endpoint, TOKEN } from "./endpoint.ts";
import { type AskedFor, isRedirect, readRefusal, type Refusal } from "./refusal.ts";
import { remedyOf } from "./remedy.ts";

/** Limit of an answer: more than any provider sends, and too little to fill the memory. */
const MAX_BYTES = 4 * 1024 * 1024;
/** A timer that is later than this shows that the process stood still, in milliseconds. */
const LATE_MS = 20;
/** Time for an answer that has come meanwhile, in milliseconds. */
const AWAKE_MS = 2000;
/** A larger difference of clocks is not corrected for an ID token: certificates fail by it, too. */
export const MAX_SKEW_SECONDS = 15 * 60;
const DAY_SECONDS = 86_400;

/** The questions to the token endpoint, by the grant. */
const BY_GRANT: Readonly<Record<string, AskedFor>> = {
  "urn:ietf:params:oauth:grant-type:device_code": "poll",
  authorization_code: "code",
  refresh_token: "refresh",
  client_credentials: "client",
  "urn:ietf:params:oauth:grant-type:token-exchange": "exchange",
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

/** The fields of a form by which a client proves who it is. */
const PROOF_FIELDS = ["client_secret", "client_assertion"];

/** As RFC 6749, appendix B, has it. django-oauth-toolkit takes no charset beside it. */
const FORM = "application/x-www-form-urlencoded";

/**
 * A `fetch` for oauth4webapi: limits the time and the size of an answer, body included, follows no
 * redirect, and puts right the known deviations of providers. The session knows the secrets of the
 * request and of the answer from then on.
 */
export function providerFetch(endpoint: Endpoint, runtime: Runtime) {
  const { secrets } = runtime;
  return async (url: string, init: RequestInit) => {
    secureUrl(url, "it", `use the provider's ${endpoint.name} endpoint`);
    const { at, hasProof, sent } = readRequest(endpoint, init);
    remember(secrets, sent);
    const { response, text } = await fetchText(endpoint, url, init, runtime);
    const { status, headers } = response;
    runtime.emit?.({ type: "provider_answered", endpoint: endpoint.name, status });
    // A cache, as Google has for its keys, gives the time of its copy.
    if (!headers.has("age")) runtime.skew = providerSkew(headers.get("date")) ?? runtime.skew;
    // A redirect elsewhere is a proxy's or a portal's, whatever it says.
    const isAway = isRedirect(status) && headers.has("location");
    const json = isAway ? undefined : parseObject(text);
    remember(secrets, SECRET_FIELDS.map((name) => json?.[name]));
    const success = !isRedirect(status) && endpoint.normalize(status, json);
    if (success) return rebuild(success, headers);
    const refusal = readRefusal({ at, hasProof, status, text, json }, secrets);
    if (refusal.kind === "fault") {
      const contentType = redact(headers.get("content-type") ?? "no content type", secrets);
      const reason = faultOf(refusal, printable(contentType));
      const retryAfter = headers.get("retry-after");
      throw unusableAnswer(place(url, secrets), reason, remedyOf(refusal), retryAfter);
    }
    // oauth4webapi takes it as an error, and hands on the body.
    return rebuild({ status: 400, body: { error: refusal.code || "none", refusal } }, headers);
  };
}

/**
 * Reaches the host of an endpoint, by the rules of {@linkcode providerFetch}. Any answer will do.
 *
 * @returns Its status.
 * @throws {ProviderUnavailableError} Where there is none.
 */
export async function reachEndpoint(url: string, runtime: Runtime) {
  const { response } = await fetchText(TOKEN, url, {}, runtime);
  return response.status;
}

/** The question of a request, whether the client proves itself in it, and the secrets that it sends. */
function readRequest({ at }: Endpoint, { body, headers }: RequestInit) {
  const form = body instanceof URLSearchParams ? body : new URLSearchParams();
  const credential = new Headers(headers).get("authorization")?.replace(/^\w+ /, "");
  const byGrant = BY_GRANT[form.get("grant_type") ?? ""] ?? "code";
  return {
    at: at === "token" ? byGrant : at,
    hasProof: credential !== undefined || PROOF_FIELDS.some((name) => form.has(name)),
    sent: [credential, ...SENT_SECRETS.flatMap((name) => form.getAll(name))],
  };
}

/**
 * How far the provider's clock is ahead of this computer's, in seconds, by the `Date` header of an answer;
 * without one (Keycloak sends none) by the `iat` of the ID token that it brought. `undefined` where
 * neither tells.
 */
export function providerSkew(date: string | null, issuedAt?: unknown): number | undefined {
  const sent = parseHttpDate(date);
  if (!Number.isNaN(sent)) return secondsAhead(sent, DAY_SECONDS);
  return secondsAhead(Number(issuedAt) * 1000, MAX_SKEW_SECONDS);
}

/** How far a time is ahead; `undefined` for none, and for one that no clock explains. */
function secondsAhead(time: number, most: number) {
  const seconds = Math.round((time - Date.now()) / 1000);
  if (Math.abs(seconds) <= most) return seconds;
  return undefined;
}

async function fetchText(
  endpoint: Endpoint,
  url: string,
  init: RequestInit,
  { fetch, timeoutMs, secrets }: Runtime,
) {
  const limit = new AbortController();
  using _timer = runAtLimit(timeoutMs, () => limit.abort());
  const signal = AbortSignal.any([limit.signal, init.signal ?? []].flat());
  try {
    if (fetch === globalThis.fetch) assertSafe(new URL(url));
    const request = { ...init, ...formOnce(init), redirect: "manual", signal } as const;
    // The caller's `fetch` may not pass the signal on.
    const response = await untilAborted(fetch(url, request), signal);
    const text = await readText(
      response,
      signal,
      MAX_BYTES,
      (text) => parseObject(text) !== undefined, // it counts, however its connection ends
    );
    return { response, text };
  } catch (error) {
    if (init.signal?.aborted) throw init.signal.reason;
    if (error instanceof ValidMindAuthError) throw error;
    const action = `reach ${place(url, secrets)}`;
    if (isNotCapable(error)) throw netDenied(action, redact(netHost(new URL(url)), secrets));
    const isLate = limit.signal.aborted;
    const fault = connectionFault(error, isLate ? timeoutMs : undefined);
    throw new ProviderUnavailableError({
      action,
      reason: fault ?? "the connection failed",
      remedy: remedyOfConnection(endpoint, fault),
      cause: isLate ? undefined : causeFrom(error, secrets),
    });
  }
}

/**
 * Stops a request at its time limit. A process that stood still, such as on a closed laptop, wakes with
 * the limit passed and perhaps with the answer at hand. It gets some time to read that: a refresh token
 * is spent, and its successor would be lost.
 */
function runAtLimit(ms: number, stop: () => void) {
  const due = performance.now() + ms;
  return runLater(ms, () => {
    if (performance.now() - due <= LATE_MS) stop();
    else runLater(AWAKE_MS, stop);
  });
}

/**
 * A form that is sent once. Deno sends a text body again when a kept connection ends before the answer
 * (denoland/deno#32566), and a refresh token that is sent twice looks stolen. A Blob is sent once.
 */
function formOnce({ body, headers }: RequestInit): RequestInit {
  if (!(body instanceof URLSearchParams)) return {};
  const others = Object.fromEntries(new Headers(headers));
  return { body: new Blob([body.toString()]), headers: { ...others, "content-type": FORM } };
}

/** The normalized answer. oauth4webapi takes a challenge for its end, whatever the body says. */
function rebuild({ status, body }: Answer, received: Headers) {
  const headers = new Headers(received);
  headers.delete("www-authenticate");
  headers.set("content-type", "application/json");
  return new Response(JSON.stringify(body), { status, headers });
}

function faultOf({ status, code, said }: Refusal, contentType: string) {
  if (isRedirect(status)) return "it redirects to another address, to which no token is sent";
  const words = [code, said].filter((text) => text !== "").join(": ");
  if (words === "") return `it has status ${status} and no usable JSON (${contentType})`;
  return `the provider answered with status ${status} (${printable(words)})`;
}

/** The error for an answer that decides nothing. */
function unusableAnswer(
  place: string,
  reason: string,
  remedy: string,
  retryAfter: string | null = null,
) {
  return new ProviderUnavailableError({
    action: `use the answer of ${place}`,
    reason,
    remedy,
    retryAfterMs: parseRetryAfter(retryAfter),
  });
}

/** The way on from a request without an answer. */
function remedyOfConnection(endpoint: Endpoint, fault: string | undefined) {
  if (fault === UNTRUSTED) {
    return "If your company's own authority has made it, set DENO_TLS_CA_STORE=system, or DENO_CERT " +
      "to the file of the authority's certificate. Otherwise do not sign in here.";
  }
  const address = endpoint === DISCOVERY ? named("issuer") : "this address";
  return `Check ${address}, ${connectionAdvice(fault)}`;
}

/** An address for messages, without its query. Its text is the provider's. */
function place(url: string, secrets: Iterable<string>) {
  const { origin, pathname } = new URL(url);
  return redact(origin + pathname, secrets);
}
