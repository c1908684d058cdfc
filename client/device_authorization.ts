import type { DeviceAuthorizationResponse } from "oauth4webapi";
import { ValidMindAuthError } from "./errors.ts";
import type { DeviceCode } from "./init_options.ts";
import { printable } from "./printable.ts";
import { secureUrl } from "./secure_url.ts";

/** A device code that waits for approval. `deviceCode` and `verifier` are secrets. */
export interface DeviceAuthorization {
  deviceCode: string;
  verifier?: string;
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
