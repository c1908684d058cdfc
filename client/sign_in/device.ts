import { untilAborted } from "../../backends/common/promises.ts";
import { ProviderUnavailableError, ValidMindAuthError } from "../errors.ts";
import type { SignInPage } from "../prompt/prompt.ts";
import { authorizeDevice, type DeviceAuthorization, pollDevice } from "../provider/device_grant.ts";
import type { OidcProvider } from "../provider/oidc_provider.ts";
import { INSTEAD_OF_CODE } from "../provider/remedy.ts";
import type { DeviceCode } from "../session_options.ts";
import { endedBy, type Flow, type FlowContext, promptError } from "./flow.ts";

/** The last poll is sent this long before the end of the code, so that it arrives in time. */
const LAST_POLL_MS = 250;

/** Signs in a person by the device flow: RFC 8628. */
export const signInByDevice: Flow = async (provider, context) => {
  // Measured from before the request, the code ends here no later than at the provider. Not by the wall
  // clock, whose jump would end a valid code.
  const { runtime, ask, signal, show } = context;
  const { elapsed } = runtime;
  const startedAt = elapsed();
  const device = await authorizeDevice(provider, signal, ask.demanded);
  const leftMs = () => startedAt + device.expiresIn * 1000 - LAST_POLL_MS - elapsed();
  const showCode = ask.onDeviceCode ?? ((code) => show(codePage(code)));
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  runtime.emit?.({ type: "code_shown", expiresAt: device.code.expiresAt });
  // Not awaited: a prompt may stay open until the sign-in is over.
  void Promise.try(showCode, device.code).catch((error) => stop.abort(promptError(error)));
  return await poll(provider, device, { ...context, signal: either }, leftMs);
};

function codePage(code: DeviceCode): SignInPage {
  const { issuer, verificationUri, verificationUriComplete, userCode, expiresAt } = code;
  return {
    issuer,
    url: verificationUriComplete ?? verificationUri,
    shortUrl: verificationUri,
    code: { text: userCode, isFilledIn: verificationUriComplete !== undefined },
    expiresAt,
  };
}

async function poll(
  provider: OidcProvider,
  device: DeviceAuthorization,
  { runtime, signal, look }: FlowContext,
  leftMs: () => number,
) {
  let intervalMs = device.interval * 1000;
  let waitMs = intervalMs;
  let fault: ProviderUnavailableError | undefined;
  for (;;) {
    const left = leftMs();
    if (left <= 0) throw codeEnded(device.code.issuer, fault);
    // The last pause may be shorter than the interval: an approval until then still counts.
    await untilAborted(runtime.delay(Math.min(waitMs, left), signal), signal);
    try {
      return await pollDevice(provider, device, signal);
    } catch (error) {
      signal.throwIfAborted();
      const { retryAfterMs = 0 } = error as ProviderUnavailableError;
      const answer = meaningOf(error);
      if (answer === undefined) throw endedBy(error, "byDevice");
      fault = answer === "fault" ? error as ProviderUnavailableError : undefined;
      if (answer === "slow_down") intervalMs += 5000; // for good: RFC 8628, section 3.5
      const backoffMs = fault ? Math.min(waitMs * 2, 60_000) : 0;
      waitMs = Math.max(intervalMs, backoffMs, retryAfterMs);
      runtime.emit?.({ type: "sign_in_waiting", answer, nextPollMs: waitMs }, fault);
    }
    look();
  }
}

/** The meaning of a poll's error, after which the next poll follows; `undefined` where none does. */
function meaningOf(error: unknown): "pending" | "slow_down" | "fault" | undefined {
  // Keys that cannot be had after a success are another error: no poll may follow it.
  if (error instanceof ProviderUnavailableError) return "fault";
  const { kind, oauthError } = error as ValidMindAuthError;
  if (kind !== "wait") return undefined;
  return oauthError === "slow_down" ? "slow_down" : "pending";
}

/** @param fault The reason why the last poll decided nothing. The person may have approved. */
function codeEnded(issuer: string, fault?: ProviderUnavailableError) {
  const cut = fault && `the code ended before the provider answered: ${fault.reason}`;
  return new ValidMindAuthError("device_code_expired", {
    action: `sign in at ${issuer}`,
    reason: cut ?? "nobody approved before the code ended",
    remedy: fault?.remedy ?? `Sign in again. ${INSTEAD_OF_CODE}`,
    cause: fault,
  });
}
