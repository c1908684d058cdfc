import { describeBackend } from "../../backends/common/describe_backend.ts";
import { untilAborted } from "../../backends/common/delay.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";
import { type Bearer, bearerOf, readClaims, toEntry, type TokenSet } from "../entry.ts";
import type { OidcIdentity } from "../options/identity.ts";
import type { Runtime } from "../options/runtime.ts";
import type { SignedIn } from "../prompt/prompt.ts";
import { signInByDevice } from "../sign_in/device.ts";
import { SignInDialog } from "../sign_in/dialog.ts";
import { type AskOptions, runFlow } from "../sign_in/flow.ts";
import type { LazyProvider } from "./lazy_provider.ts";
import type { CredentialStore } from "./store.ts";

/** Options of {@linkcode askPerson}. */
export interface AskPersonOptions {
  identity: OidcIdentity;
  /** The token that goes on requests. */
  bearer: "access_token" | "id_token";
  runtime: Runtime;
  ask: AskOptions;
  provider: LazyProvider;
  store: CredentialStore;
  /** Stores the new entry. */
  save: (entry: OidcCredentials) => Promise<void>;
}

/**
 * Asks the person to sign in, and stores the tokens. Before that, the store is proven. The person sees
 * the outcome after the tokens were stored.
 */
export async function askPerson(
  { identity, bearer, runtime, ask, provider, store, save }: AskPersonOptions,
  signal: AbortSignal,
): Promise<OidcCredentials> {
  await untilAborted(store.probe(), signal);
  const opened = await provider.get();
  using dialog = new SignInDialog({ ask, signal, now: runtime.now });
  const show = dialog.show.bind(dialog);
  try {
    const context = { runtime, ask, signal: dialog.signal, show };
    const tokens = await runFlow(signInByDevice, opened, context);
    const entry = toEntry(tokens, identity, bearer, runtime.now());
    await save(entry);
    await dialog.end(signedIn(tokens, bearerOf(entry, bearer), store.backend));
    return entry;
  } catch (error) {
    await dialog.fail(error);
    throw error;
  }
}

function signedIn(
  { idToken, refreshToken }: TokenSet,
  bearer: Bearer | undefined,
  backend: OidcCredentialsBackend,
): SignedIn {
  const claims = idToken === undefined ? undefined : readClaims(idToken);
  const who = claims?.email ?? claims?.preferred_username ?? claims?.sub;
  return {
    kind: "signed_in",
    who: typeof who === "string" ? who : undefined,
    expiresAt: bearer?.expiresAt ?? 0,
    place: backend.location ?? describeBackend(backend),
    isRefreshable: refreshToken !== undefined,
  };
}
