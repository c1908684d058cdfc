import type { OidcCredentialsBackend } from "../backends/oidc_credentials_backend.ts";
import { readClaims } from "./credentials.ts";
import { describeBackend } from "./credential_store.ts";
import { runDeviceFlow } from "./device_flow.ts";
import type { DeviceCode } from "./init_options.ts";
import type { OidcProvider } from "./oidc_provider.ts";
import type { Runtime } from "./resolve_options.ts";
import { showDeviceCode, showNotice } from "./show_device_code.ts";
import type { TokenSet } from "./token_set.ts";

/** What {@linkcode signInByDevice} is told. */
export interface SignInByDeviceOptions {
  runtime: Runtime;
  /** Replaces the built-in prompt, and with it every word that this module says. */
  onDeviceCode: ((code: DeviceCode) => void | Promise<void>) | undefined;
  signal: AbortSignal;
}

/** Asks the person to sign in. Loaded only when a person is asked. */
export async function signInByDevice(
  provider: OidcProvider,
  { runtime, onDeviceCode, signal }: SignInByDeviceOptions,
): Promise<TokenSet> {
  return await runDeviceFlow(provider, {
    runtime,
    signal,
    onDeviceCode: onDeviceCode ?? showDeviceCode,
  });
}

/** Tells the person who is signed in and where the tokens are, once they are there. */
export async function announceSignIn(
  tokens: TokenSet,
  backend: OidcCredentialsBackend,
): Promise<void> {
  try {
    await showNotice(summary(tokens, backend));
  } catch {
    // A closed standard error costs the notice, not the sign-in.
  }
}

function summary(tokens: TokenSet, backend: OidcCredentialsBackend): string {
  const claims = tokens.idToken === undefined ? undefined : readClaims(tokens.idToken);
  const who = claims?.email ?? claims?.preferred_username ?? claims?.sub;
  const renewal = tokens.refreshToken === undefined
    ? " The provider gave no refresh token, so you will be asked again when the token ends: ask " +
      "for the scope offline_access."
    : "";
  const place = backend.location ?? describeBackend(backend);
  return `Signed in${
    who === undefined ? "" : ` as ${who}`
  }. Tokens are kept in ${place}.${renewal}`;
}
