import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import { ApiClient } from "../../api/client.ts";
import { createSession } from "../../create_session.ts";
import { credentialKey } from "../../credential_key.ts";
import { ApiError } from "../../errors.ts";
import type { Session } from "../../session.ts";
import { CredentialStore } from "../../tokens/store.ts";
import type { FlagValues } from "../flags.ts";
import { sessionOptions, type SignInTarget } from "../sign_in_target.ts";
import { type Answer, ok } from "./findings.ts";
import type { PreparedCall } from "./trial.ts";

const PATH = "ping";

/**
 * Asks the API once.
 *
 * @param target The sign-in; `undefined` with an API key.
 * @param hasToken Whether a valid token is stored, and the API gets it.
 */
export async function checkApi(
  flags: FlagValues,
  { resolved }: PreparedCall,
  target: SignInTarget | undefined,
  hasToken: boolean,
): Promise<Answer> {
  const { apiHost = "", runtime } = resolved;
  const isKnown = hasToken || target === undefined;
  try {
    if (isKnown) {
      await using session = await openCopy(flags, target);
      await session.get(PATH);
    } else {
      const credentials = () => Promise.resolve({ headers: {}, fetch: runtime.fetch });
      const unused = { canRenew: false, onRefusedAgain: () => {} };
      await new ApiClient({ apiHost, runtime, credentials, ...unused }).get(PATH);
    }
    return ok(`${apiHost} answers${isKnown ? "" : ". No token is stored to try"}`);
  } catch (error) {
    if (!(error instanceof ApiError) || isFault(error.status, isKnown)) throw error;
    const words = isKnown ? "" : " without a token: none is stored to try";
    return ok(`${apiHost} answers ${error.status} to ${PATH}${words}`);
  }
}

/** Whether a status tells that a call would fail. Not every API has this path, or takes it bare. */
function isFault(status: number, isKnown: boolean): boolean {
  if (status === 401 || status === 403) return isKnown;
  return status < 400 || status === 429 || status >= 500;
}

/** A session with a copy of the stored token, which it cannot refresh. */
async function openCopy(flags: FlagValues, target: SignInTarget | undefined): Promise<Session> {
  const options = sessionOptions(flags);
  if (target === undefined) return await createSession(options);
  const { identity, backend } = target;
  const key = credentialKey(identity.issuer, identity.clientId, identity.audience, identity);
  const entry = await new CredentialStore(backend, key).load();
  const copy = new MemoryCredentialsBackend();
  if (entry !== undefined) copy.put(key, { ...entry, refresh_token: null });
  return await createSession({ ...options, credentialsBackend: copy, interactive: false });
}
