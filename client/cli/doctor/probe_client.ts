import { type BrowserOptions, resolveRedirect } from "../../options/browser_options.ts";
import type { OidcIdentity } from "../../options/identity.ts";
import type { Runtime } from "../../options/runtime.ts";
import {
  redeemAuthorization,
  startAuthorization,
} from "../../provider/authorization_code_grant.ts";
import { requestClientTokens } from "../../provider/client_credentials_grant.ts";
import { authorizeDevice, pollDevice } from "../../provider/device_grant.ts";
import { ProviderRefusedError } from "../../provider/error.ts";
import { type OidcProvider, openProvider } from "../../provider/oidc_provider.ts";
import { isWithoutDeviceFlow } from "../../sign_in/choose_flow.ts";
import { failedBy, type Finding, ok, warning } from "./finding.ts";

const CHECK = "client";
/** Answers to the first poll of a good client. */
const WAITING = ["authorization_pending", "slow_down"];
/** Answers to a good client's code that nobody has issued. */
const NO_SUCH_CODE = ["invalid_grant", "bad_verification_code"];
/** Stands for the free port of a sign-in, which a provider does not compare: RFC 8252, section 7.3. */
const ANY_PORT = 49152;

/**
 * Tries the client at the provider by the first requests of its flow. Nobody is asked, and nothing is
 * stored: a code is left to end, and a token is revoked.
 */
export async function probeClient(
  metadata: Record<string, unknown>,
  identity: OidcIdentity,
  runtime: Runtime,
  browser: BrowserOptions = {},
): Promise<Finding[]> {
  try {
    const provider = openProvider(identity, runtime);
    if (identity.flow === "client_credentials") return [await probeClientFlow(provider)];
    const hasDevice = metadata.device_authorization_endpoint !== undefined;
    const hasBrowser = metadata.authorization_endpoint !== undefined;
    if (identity.flow === "browser" || (!hasDevice && identity.flow !== "device")) {
      return hasBrowser ? [await probeBrowser(provider, metadata, browser)] : [];
    }
    return hasDevice
      ? await probeDevice(provider).catch(async (error) => {
        if (identity.flow === "device" || !hasBrowser || !isWithoutDeviceFlow(error)) throw error;
        const advice = "Nothing needs to be done: the browser is used instead.";
        return [
          warning(CHECK, error.message, advice),
          await probeBrowser(provider, metadata, browser),
        ];
      })
      : [];
  } catch (error) {
    return [failedBy(CHECK, error)];
  }
}

/** The poll shows whether the token endpoint takes the client: some providers look at it only there. */
async function probeDevice(provider: OidcProvider): Promise<Finding[]> {
  const device = await authorizeDevice(provider);
  const words = "the provider gave this client a device code, which was dropped";
  try {
    await revoke(provider, await pollDevice(provider, device));
  } catch (error) {
    if (!isAnswer(error, WAITING)) throw error;
  }
  return [ok(CHECK, words)];
}

async function probeBrowser(
  provider: OidcProvider,
  { issuer }: Record<string, unknown>,
  options: BrowserOptions,
): Promise<Finding> {
  const setting = resolveRedirect(options, provider.issuer, "sign in");
  const redirectUri = setting.uriOf(setting.ports[0] || ANY_PORT);
  const request = await startAuthorization(provider, { redirectUri });
  const code = `doctor-${crypto.randomUUID()}`;
  const answer = new URLSearchParams({ code, state: request.state, iss: String(issuer) });
  try {
    await redeemAuthorization(provider, request, answer);
  } catch (error) {
    if (!isAnswer(error, NO_SUCH_CODE)) throw error;
  }
  return ok(
    CHECK,
    "the provider refused only the code, which nobody had issued; some look at the client after it",
  );
}

async function probeClientFlow(provider: OidcProvider): Promise<Finding> {
  const isRevoked = await revoke(provider, await requestClientTokens(provider));
  const end = isRevoked ? "was revoked" : "was dropped, and lasts until its end";
  return ok(CHECK, `the provider gave this client a token, which ${end}`);
}

async function revoke(
  provider: OidcProvider,
  { accessToken, refreshToken }: { accessToken: string; refreshToken?: string },
): Promise<boolean> {
  const [token, hint] = refreshToken === undefined
    ? [accessToken, "access_token"] as const
    : [refreshToken, "refresh_token"] as const;
  return await provider.revoke(token, hint).catch(() => false);
}

function isAnswer(error: unknown, answers: readonly string[]): boolean {
  return error instanceof ProviderRefusedError && answers.includes(error.oauthError ?? "");
}
