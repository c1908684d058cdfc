import type { SessionOptions } from "../session_options.ts";
import type { FlagName, FlagValues } from "./flags.ts";

/** The flags that say whose tokens are meant: one for each option of the same name. */
export const IDENTITY_FLAGS: readonly FlagName[] = [
  "issuer",
  "client-id",
  "audience",
  "profile",
];

/** The options of `createSession` that the flags give. What is not given comes from variables. */
export function identityOptions(flags: FlagValues): SessionOptions {
  const issuer = flags.text("issuer");
  const clientId = flags.text("client-id");
  const audience = flags.text("audience");
  const profile = flags.text("profile");
  const scope = flags.text("scope");
  return {
    ...(issuer !== undefined && { issuer }),
    ...(clientId !== undefined && { clientId }),
    ...(audience !== undefined && { audience }),
    ...(profile !== undefined && { profile }),
    ...(flags.has("dpop") && { dpop: true }),
    ...(scope !== undefined && { scope }),
  };
}
