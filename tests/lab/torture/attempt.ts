import type { SignedIn } from "./signed_in.ts";
import { ALL, spawnDeno } from "../../support/deno_process.ts";
import type { Step } from "./stop_point.ts";

/** What a process starts with. */
export interface AttemptOptions {
  issuer: string;
  clientId: string;
  audience?: string | undefined;
  /** Where the process stops itself, until it is sent SIGCONT. */
  stopAt?: Step | undefined;
}

/** How one start from what is stored ended. */
export interface Attempt {
  /** The hash of the token that it got. */
  token?: string;
  /** The codes of the error and of its causes, where it got none. */
  codes: string[];
  /** The error's text. */
  message?: string;
}

/** What a start needs of a sign-in. */
export type Started = Pick<SignedIn, "provider" | "audience" | "env">;

/** Starts a process that starts from what is stored. Nobody can be asked to sign in. */
export function startAttempt(
  { provider: { issuer, clientId }, audience, env }: Started,
  stopAt?: Step,
): Deno.ChildProcess {
  const options: AttemptOptions = { issuer, clientId, audience, stopAt };
  const file = new URL("attempt_child.ts", import.meta.url).href;
  return spawnDeno({ file, flags: ALL, args: [JSON.stringify(options)], env });
}

/** Starts a process from what is stored, and waits for its end. */
export async function attempt(signedIn: Started): Promise<Attempt> {
  const { stdout, stderr } = await startAttempt(signedIn).output();
  const [said, complaint] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return said ? JSON.parse(said) : { codes: [], message: complaint!.slice(-600) };
}

/** An attempt in a few words. */
export function describeAttempt({ token, codes, message = "" }: Attempt): string {
  if (token !== undefined) return "token";
  return codes.length > 0 ? codes.join(" by ") : message;
}
