import type { DpopKey } from "../provider/dpop_key.ts";
import type { TokenSet } from "../entry.ts";
import { codeOf, ValidMindAuthError } from "../errors.ts";
import type { DeviceCode } from "../session_options.ts";
import type { OidcProvider } from "../provider/oidc_provider.ts";
import { printable } from "../../backends/common/printable.ts";
import { ProviderRefusedError, ProviderUnavailableError } from "../provider/error.ts";
import { secureUrl } from "../options/resolve_identity.ts";
import type { Runtime } from "../options/runtime.ts";
import type { AuthorizationServer, DeviceAuthorizationResponse } from "oauth4webapi";

/** What {@linkcode runDeviceFlow} is told. */
export interface DeviceFlowOptions {
  runtime: Runtime;
  onDeviceCode: (code: DeviceCode) => void | Promise<void>;
  signal?: AbortSignal | undefined;
}

/** Signs a person in by the device flow: RFC 8628. */
export async function runDeviceFlow(
  provider: OidcProvider,
  { runtime, onDeviceCode, signal }: DeviceFlowOptions,
): Promise<TokenSet> {
  const { emit } = runtime;
  emit?.({ type: "sign_in_started" });
  try {
    const device = await provider.authorizeDevice(signal);
    const tokens = await pollAndPrompt(provider, device, { runtime, onDeviceCode, signal });
    emit?.({ type: "sign_in_approved" });
    return tokens;
  } catch (error) {
    const reason = signal?.aborted ? "interrupted" : REASONS[(error as { code: string }).code];
    emit?.({ type: "sign_in_failed", reason: reason ?? "error", ...codeOf(error) });
    throw error;
  }
}

const REASONS: Record<string, "denied" | "expired"> = {
  device_code_denied: "denied",
  device_code_expired: "expired",
};

async function pollAndPrompt(
  provider: OidcProvider,
  device: DeviceAuthorization,
  { runtime, onDeviceCode, signal }: DeviceFlowOptions,
): Promise<TokenSet> {
  const stop = new AbortController();
  const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const promptFailed = Promise.withResolvers<never>();
  runtime.emit?.({ type: "code_shown", expiresAt: device.code.expiresAt });
  // Not awaited: a prompt may stay open until the sign-in is over.
  Promise.try(onDeviceCode, device.code).catch((error) => {
    promptFailed.reject(promptError(error));
  });
  try {
    return await Promise.race([poll(provider, device, runtime, either), promptFailed.promise]);
  } finally {
    stop.abort();
  }
}

async function poll(
  provider: OidcProvider,
  device: DeviceAuthorization,
  runtime: Runtime,
  signal: AbortSignal,
): Promise<TokenSet> {
  const deadline = device.code.expiresAt.getTime();
  let intervalMs = device.interval * 1000;
  let waitMs = intervalMs;
  for (;;) {
    // A long pause after a fault ends in time for one more poll before the code does.
    const pauseMs = Math.min(waitMs, Math.max(intervalMs, deadline - runtime.now() - 1000));
    if (runtime.now() + pauseMs >= deadline) throw codeExpired(device.code.issuer);
    await runtime.delay(pauseMs, signal);
    try {
      return await provider.pollDevice(device, signal);
    } catch (error) {
      signal.throwIfAborted();
      const answer = readPollError(error);
      if (answer.slowDown) intervalMs += 5000; // for good: RFC 8628, section 3.5
      const backoffMs = answer.isFault ? Math.min(waitMs * 2, 60_000) : 0;
      waitMs = Math.max(intervalMs, backoffMs, answer.retryAfterMs ?? 0);
      const kind = answer.slowDown ? "slow_down" : answer.isFault ? "fault" : "pending";
      runtime.emit?.({ type: "sign_in_waiting", answer: kind, nextPollMs: waitMs });
    }
  }
}

interface PollAnswer {
  slowDown?: boolean;
  /** Nothing was decided: wait longer each time, until the code's own end. */
  isFault?: boolean;
  retryAfterMs?: number | undefined;
}

/** What a failed poll means for the next one; throws when it ends the sign-in. */
function readPollError(error: unknown): PollAnswer {
  if (error instanceof ProviderUnavailableError) {
    return { isFault: true, retryAfterMs: error.retryAfterMs };
  }
  if (!(error instanceof ProviderRefusedError)) throw error;
  const { retryAfterMs } = error;
  switch (error.oauthError) {
    case "authorization_pending":
      return { retryAfterMs };
    case "slow_down":
      return { slowDown: true, retryAfterMs };
    case "access_denied":
    case "authorization_declined": // Microsoft Entra
      throw new ValidMindAuthError("device_code_denied", error.message, {
        oauthError: error.oauthError,
      });
    case "expired_token":
      throw new ValidMindAuthError("device_code_expired", error.message, {
        oauthError: error.oauthError,
      });
  }
  throw error;
}

function codeExpired(issuer: string): ValidMindAuthError {
  return new ValidMindAuthError(
    "device_code_expired",
    `Cannot sign in at ${issuer}: nobody approved before the code ended. Sign in again.`,
  );
}

function promptError(error: unknown): ValidMindAuthError {
  return new ValidMindAuthError(
    "prompt_failed",
    "Cannot sign in: the function that shows the code failed. See the cause.",
    { cause: error },
  );
}

/** A device code that waits for approval. `deviceCode`, `verifier` and `dpopKey` are secrets. */
export interface DeviceAuthorization {
  deviceCode: string;
  verifier?: string;
  /** What the tokens will be bound to. */
  dpopKey?: DpopKey;
  /** Seconds between polls. */
  interval: number;
  /** What the person is shown. */
  code: DeviceCode;
}

/** What the person is shown of a device answer, checked: RFC 8628, section 3.2. */
export function toDeviceCode(
  answer: DeviceAuthorizationResponse,
  issuer: string,
  now: number,
): DeviceCode {
  const complete = answer.verification_uri_complete;
  return {
    verificationUri: checkVerificationUri(answer.verification_uri),
    userCode: printable(answer.user_code, 100),
    ...(complete !== undefined && { verificationUriComplete: checkVerificationUri(complete) }),
    expiresAt: new Date(now + answer.expires_in * 1000),
    issuer,
  };
}

/** Whether a PKCE challenge is sent: harmless where it is not asked for, and else needed. */
export function needsPkce(server: AuthorizationServer): boolean {
  return server.code_challenge_methods_supported?.includes("S256") === true;
}

/** A page that a person is sent to: of the web, and nothing that a terminal or browser acts on. */
function checkVerificationUri(text: string): string {
  try {
    return secureUrl(text, "sign in: the provider's page").href;
  } catch {
    throw new ValidMindAuthError(
      "provider_invalid",
      "Cannot sign in: the page that the provider names for it is no https: page. " +
        "Check the issuer, then ask who runs the provider.",
    );
  }
}
