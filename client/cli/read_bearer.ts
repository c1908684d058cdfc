import { createSession } from "../create_session.ts";
import { ValidMindAuthError } from "../errors.ts";
import type { Invocation } from "./command.ts";
import type { FlagName } from "./flags.ts";
import { findTarget, IDENTITY_FLAGS, sessionOptions, STORE_FLAGS } from "./sign_in_target.ts";

/** The flags of a command that needs a token. */
export const BEARER_FLAGS: readonly FlagName[] = [
  ...IDENTITY_FLAGS,
  "scope",
  "bearer",
  ...STORE_FLAGS,
  "login",
  "refresh",
  "debug",
];

/** The bearer token of the sign-in that the flags name, and its end where that is known. */
export async function readBearer(
  { flags, output }: Invocation,
  action: string,
): Promise<{ bearer: string; expiresAt: Date | undefined }> {
  const target = await findTarget(flags, action);
  const { stored } = target;
  if (stored === undefined) {
    throw new ValidMindAuthError(
      "no_access_token",
      `Cannot ${action}: an API key is set (VM_API_KEY), and requests carry it instead. Unset it, ` +
        `or give --issuer and --client-id, to sign in as a person.`,
    );
  }
  const read = async (forceRefresh: boolean) => {
    await using session = await createSession({
      ...sessionOptions(flags),
      credentialsBackend: stored.chosen.backend,
      interactive: flags.has("login"),
    });
    const bearer = await session.accessToken({ forceRefresh });
    return { bearer, expiresAt: (await session.status()).expiresAt };
  };
  try {
    return await read(flags.has("refresh"));
  } catch (error) {
    const isUnstored = error instanceof ValidMindAuthError &&
      error.code === "credentials_not_stored";
    if (!isUnstored) throw error;
    // New tokens that could not be stored are valid all the same, and in memory.
    output.note(`warning (${error.code}): ${error.message}\n`);
    return await read(false);
  }
}
