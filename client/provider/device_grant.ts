import * as oauth from "oauth4webapi";
import { isSecureUrl } from "../../backends/common/host.ts";
import type { Json } from "../../backends/common/json.ts";
import { printable } from "../../backends/common/printable.ts";
import type { TokenSet } from "../entry/bearer.ts";
import { ValidMindAuthError } from "../errors.ts";
import type { OidcIdentity } from "../options/resolve_identity.ts";
import type { DeviceCode } from "../session_options.ts";
import { assertCanSignIn } from "./discovery.ts";
import type { DpopKey } from "./dpop_key.ts";
import { invalidProvider } from "./error.ts";
import { type Endpoint, normalizeGrant, positiveNumber } from "./endpoint.ts";
import type { OidcProvider } from "./oidc_provider.ts";
import { BY_BROWSER } from "./remedy.ts";
import { audienceOf, firstTokens, newDpopKey, requestOptions } from "./token_request.ts";

/** Lifetime of a device code where the provider states none, in seconds: as in the Python library. */
const DEFAULT_CODE_SECONDS = 900;
/** Pause between polls where the provider states none: RFC 8628, section 3.2. */
const DEFAULT_INTERVAL_SECONDS = 5;

/** The device authorization endpoint. */
export const DEVICE: Endpoint = {
  name: "device",
  at: "device",
  normalize: normalizeGrant(normalizeDevice),
};

/** A device code that waits for approval. `deviceCode`, `verifier` and `dpopKey` are secrets. */
export interface DeviceAuthorization {
  deviceCode: string;
  /** The PKCE verifier, where a challenge was sent. */
  verifier?: string;
  /** The key that the tokens will be bound to. */
  dpopKey?: DpopKey;
  /** Seconds between polls. */
  interval: number;
  /** Lifetime in seconds. */
  expiresIn: number;
  /** Page and code for the person. */
  code: DeviceCode;
}

/**
 * Asks for a device code: RFC 8628, section 3.1.
 *
 * @param demanded Parameters by which the provider is asked for what an API demands.
 */
export async function authorizeDevice(
  provider: OidcProvider,
  signal?: AbortSignal,
  demanded: Readonly<Record<string, string>> = {},
): Promise<DeviceAuthorization> {
  return await provider.use("start the sign-in", signal, async (context) => {
    const { identity, runtime, server, client, means } = context;
    assertOffered(server, identity, demanded);
    assertCanSignIn(server, identity);
    const dpopKey = await newDpopKey(context);
    // Sent wherever the provider knows PKCE: some demand it, and none minds it.
    const isPkce = server.code_challenge_methods_supported?.includes("S256");
    const verifier = isPkce ? oauth.generateRandomCodeVerifier() : undefined;
    const parameters = new URLSearchParams({ ...demanded, ...audienceOf(identity) });
    if (identity.scope !== "") parameters.set("scope", identity.scope);
    if (verifier !== undefined) {
      parameters.set("code_challenge", await oauth.calculatePKCECodeChallenge(verifier));
      parameters.set("code_challenge_method", "S256");
    }
    const options = requestOptions(DEVICE, context);
    const response = await oauth.deviceAuthorizationRequest(...means, parameters, options);
    const answer = await oauth.processDeviceAuthorizationResponse(server, client, response);
    return {
      deviceCode: answer.device_code,
      verifier,
      dpopKey,
      interval: answer.interval!,
      expiresIn: answer.expires_in,
      code: toDeviceCode(answer, identity, runtime.now()),
    };
  });
}

/**
 * Refuses a provider without a device flow. What an API demands goes there only where somebody chose this
 * flow, since many providers ignore it there. Claims do not: no token tells whether they were heeded.
 */
function assertOffered(
  { device_authorization_endpoint }: oauth.AuthorizationServer,
  { issuer, flow }: OidcIdentity,
  demanded: object,
) {
  const isTaken = Object.keys(demanded).every((name) => flow === "device" && name !== "claims");
  if (device_authorization_endpoint !== undefined && isTaken) return;
  throw new ValidMindAuthError("device_flow_unsupported", {
    action: `sign in at ${issuer}`,
    reason: "the provider offers no device flow that takes this request",
    remedy: `Set ${BY_BROWSER}.`,
  });
}

/** Asks once for the tokens of a device code: RFC 8628, section 3.4. */
export async function pollDevice(
  provider: OidcProvider,
  { deviceCode, verifier, dpopKey }: DeviceAuthorization,
  signal?: AbortSignal,
): Promise<TokenSet> {
  return await provider.use("sign in", signal, async (context) => {
    return await firstTokens(context, dpopKey, {
      parameters: verifier === undefined ? {} : { code_verifier: verifier },
      send: (options) => oauth.deviceCodeGrantRequest(...context.means, deviceCode, options),
      process: oauth.processDeviceCodeResponse,
    });
  });
}

/** The checked page and code of a device answer: RFC 8628, section 3.2. */
function toDeviceCode(
  answer: oauth.DeviceAuthorizationResponse,
  { issuer, scope }: OidcIdentity,
  now: number,
) {
  const complete = answer.verification_uri_complete;
  return {
    verificationUri: checkPage(answer.verification_uri),
    userCode: printable(answer.user_code),
    ...(complete !== undefined && { verificationUriComplete: checkPage(complete) }),
    expiresAt: new Date(now + answer.expires_in * 1000),
    issuer,
    scope,
  };
}

/** Only a page of the web may be shown: a terminal or a browser acts on other addresses. */
function checkPage(text: string) {
  const url = URL.parse(text);
  if (url && isSecureUrl(url)) return url.href;
  throw invalidProvider("sign in", "the sign-in page of the provider is not an https: page");
}

/** Known deviations: `verification_url`, numbers as strings, an interval of 0, no lifetime. */
function normalizeDevice(body: Json): Json {
  const { verification_url, interval, expires_in, ...rest } = body;
  return {
    verification_uri: verification_url,
    ...rest,
    interval: positiveNumber(interval) ?? DEFAULT_INTERVAL_SECONDS,
    expires_in: positiveNumber(expires_in) ?? DEFAULT_CODE_SECONDS,
  };
}
