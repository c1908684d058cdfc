import { getDefaultBackend } from "../backends/default_backend.ts";
import type { OidcCredentialsBackend } from "../backends/oidc_credentials_backend.ts";
import { resolveCredentialsBackend } from "../backends/resolve_credentials_backend.ts";
import { untilAborted } from "../backends/until_aborted.ts";
import { backendNeeds } from "./backend_needs.ts";
import { browserNeeds } from "./browser_needs.ts";
import { bearerKind } from "./credentials.ts";
import { credentialKey } from "./credential_key.ts";
import type { SessionOptions } from "./init_options.ts";
import type { PermissionNeed } from "./permission_need.ts";
import { preflight } from "./preflight.ts";
import type { ModelOptions, ResolvedOptions } from "./resolve_options.ts";
import { selectionNeeds } from "./selection_needs.ts";
import { SignedInSession } from "./signed_in_session.ts";
import { StoredCredential } from "./stored_credential.ts";
import { TokenSource } from "./token_source.ts";

/** What {@linkcode signIn} is told beside the options. */
export interface SignInContext {
  /** What fails if it fails, as in "Cannot {action}". */
  action: string;
  /** What is needed so far: variables and hosts. */
  needs: PermissionNeed[];
  /** Only for `init`. */
  modelOptions?: ModelOptions;
}

/** Signs in with options that have been checked, and gives the session. */
export async function signIn(
  options: SessionOptions,
  { identity, apiHost, interactive, runtime }: ResolvedOptions,
  { action, needs, modelOptions }: SignInContext,
): Promise<SignedInSession> {
  const { signal } = options;
  signal?.throwIfAborted();
  if (identity.kind === "api_key") {
    await preflight(action, needs, "always");
    return new SignedInSession({
      identity,
      apiHost,
      modelOptions,
      runtime,
      needs,
      oidc: undefined,
    });
  }
  const backend = await untilAborted(chooseBackend(options, action, needs), signal);
  const all = [...needs, ...browserNeeds(options), ...backendNeeds(backend)];
  await preflight(action, all, "always");
  const key = credentialKey(identity.issuer, identity.clientId, identity.audience, identity);
  const stored = new StoredCredential(backend, key);
  const tokens = new TokenSource({
    identity,
    stored,
    bearer: bearerKind(options.bearer ?? "auto", identity.issuer),
    runtime,
    interactive,
    ask: { onDeviceCode: options.onDeviceCode, openBrowser: options.openBrowser ?? false },
    beforeProvider: () => preflight(action, all, "sign_in"),
  });
  await tokens.signIn(signal);
  const oidc = { tokens, stored };
  return new SignedInSession({ identity, apiHost, modelOptions, runtime, needs: all, oidc });
}

/** The variables that choose a backend are made sure of first, unless nothing has to be chosen. */
async function chooseBackend(
  { credentialsBackend, isolate }: SessionOptions,
  action: string,
  needs: PermissionNeed[],
): Promise<OidcCredentialsBackend> {
  if (credentialsBackend === undefined && getDefaultBackend() === undefined) {
    needs.push(...selectionNeeds());
    await preflight(action, needs, "always");
  }
  return await resolveCredentialsBackend(
    credentialsBackend,
    isolate === undefined ? {} : { isolate },
  );
}
