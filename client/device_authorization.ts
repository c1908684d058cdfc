import type { AuthorizationServer, DeviceAuthorizationResponse } from "oauth4webapi";
import type { DpopKey } from "./dpop_key.ts";
import { ValidMindAuthError } from "./errors.ts";
import type { DeviceCode } from "./init_options.ts";
import { printable } from "./printable.ts";
import { secureUrl } from "./resolve_identity.ts";

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
