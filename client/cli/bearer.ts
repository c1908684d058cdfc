import type { FlagValues } from "./flags.ts";
import { openSession } from "./sign_in_target.ts";

/** The bearer token of the sign-in that the flags name, and its end where that is known. */
export async function readBearer(flags: FlagValues, action: string) {
  await using session = await openSession(flags, action);
  const bearer = await session.accessToken({ forceRefresh: flags.has("refresh") });
  return { bearer, expiresAt: (await session.status()).expiresAt };
}
