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

/** A process that starts from what is stored. Nobody can be asked to sign in. */
export class AttemptProcess {
  readonly pid: number;
  readonly #child: Deno.ChildProcess;

  constructor({ provider: { issuer, clientId }, audience, env }: SignedIn, stopAt?: Step) {
    const options: AttemptOptions = { issuer, clientId, audience, stopAt };
    this.#child = spawnDeno({
      file: new URL("attempt_child.ts", import.meta.url).href,
      flags: ALL,
      args: [JSON.stringify(options)],
      env,
    });
    this.pid = this.#child.pid;
  }

  /** Resolves when the process has ended. */
  async result(): Promise<Attempt> {
    const { stdout, stderr } = await this.#child.output();
    const decoder = new TextDecoder();
    if (stdout.length > 0) return { codes: [], ...JSON.parse(decoder.decode(stdout)) };
    return { codes: [], message: decoder.decode(stderr).slice(-600) };
  }
}

/** Starts a process from what is stored, and waits for its end. */
export async function attempt(signedIn: SignedIn): Promise<Attempt> {
  return await new AttemptProcess(signedIn).result();
}

/** An attempt in a few words. */
export function describeAttempt({ token, codes, message = "" }: Attempt): string {
  if (token !== undefined) return "token";
  return codes.length > 0 ? codes.join(" by ") : message;
}
