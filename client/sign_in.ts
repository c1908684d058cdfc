import { resolveCredentialsBackend } from "../backends/resolve_credentials_backend.ts";
import { bearerKind } from "./credentials.ts";
import { credentialKey } from "./credential_key.ts";
import { CredentialStore } from "./credential_store.ts";
import type { SessionOptions } from "./init_options.ts";
import type { ModelOptions, ResolvedOptions } from "./resolve_options.ts";
import { SignedInSession } from "./signed_in_session.ts";
import { TokenSource } from "./token_source.ts";

/** Signs in with options that have been checked, and gives the session. */
export async function signIn(
  options: SessionOptions,
  resolved: ResolvedOptions,
  modelOptions?: ModelOptions,
): Promise<SignedInSession> {
  const { identity, apiHost, runtime } = resolved;
  options.signal?.throwIfAborted();
  if (identity.kind === "api_key") {
    return new SignedInSession({ identity, apiHost, modelOptions, runtime, oidc: undefined });
  }
  const backend = await resolveCredentialsBackend(options.credentialsBackend);
  const key = credentialKey(identity.issuer, identity.clientId, identity.audience);
  const store = new CredentialStore(backend, key);
  const tokens = new TokenSource({
    identity,
    store,
    bearer: bearerKind(options.bearer ?? "auto", identity.issuer),
    runtime,
    interactive: options.interactive,
    onDeviceCode: options.onDeviceCode,
  });
  await tokens.signIn(options.signal);
  return new SignedInSession({ identity, apiHost, modelOptions, runtime, oidc: { tokens, store } });
}
