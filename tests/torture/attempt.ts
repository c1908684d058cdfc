import type { SignedIn } from "./signed_in.ts";
import { spawnModule } from "./spawn_module.ts";

/** How one start from what is stored ended. */
export interface Attempt {
  /** The hash of the token that it got. */
  token?: string;
  /** The codes of the error and of its causes, where it got none. */
  codes: string[];
  /** The error's text. */
  message?: string;
}

/** Starts a process from what is stored. Nobody can be asked to sign in. */
export async function attempt(
  { provider }: SignedIn,
  prefix: readonly string[] = [],
): Promise<Attempt> {
  const args = [provider.issuer, provider.clientId];
  const { stdout, stderr } = await spawnModule("attempt_child.ts", args, { prefix }).output();
  const decoder = new TextDecoder();
  if (stdout.length > 0) return { codes: [], ...JSON.parse(decoder.decode(stdout)) };
  return { codes: [], message: decoder.decode(stderr).slice(-600) };
}

/** An attempt in a few words. */
export function describeAttempt({ token, codes, message = "" }: Attempt): string {
  if (token !== undefined) return "token";
  return codes.length > 0 ? codes.join(" by ") : message;
}
