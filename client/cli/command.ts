import type { MaybePromise } from "../../backends/oidc_credentials_backend.ts";
import type { FlagName, FlagValues } from "./flags.ts";

/** One command. Parser, help, completions and reference are made from it. */
export interface Command {
  readonly name: string;
  readonly summary: string;
  /** Paragraphs below the summary, with an empty line between two. */
  readonly details: string;
  readonly flags: readonly FlagName[];
  /** The placeholder for its argument; with "…" it takes more than one. */
  readonly args?: string;
  /** Words that the completions offer for its arguments. */
  readonly words?: readonly string[];
  /** Whether all words from the first argument on are arguments, flags as well. */
  readonly isRest?: boolean;
  /** Lines to copy, without the program's name. */
  readonly examples: string;
  /** Completes "Cannot …" in errors. */
  readonly action: string;
  /** Loads its code, which no other command needs. */
  load(): Promise<{ run(call: CommandCall): MaybePromise<number | void> }>;
}

/** One call of a command. Its `run` does the work, and returns the exit code where that is not 0. */
export interface CommandCall {
  readonly flags: FlagValues;
  /** The words after the command that are no flags. */
  readonly args: readonly string[];
  readonly command: Command;
  /** All commands, for the completions. */
  readonly commands: readonly Command[];
}

/** The program's name, as its own texts give it. */
export const PROGRAM = "validmind-auth";

/** An error of the command line itself, in its own words. */
export class CliError extends Error {
  override readonly name = "CliError";

  constructor(
    message: string,
    readonly code: "usage" | "output_failed" | "program_failed",
    readonly exit = 1,
  ) {
    super(message);
  }
}

/** A command line that cannot be used. */
export function usageError(message: string) {
  return new CliError(message, "usage", 2);
}

/** Exit codes that a script can tell apart. {@linkcode EXIT_WORDS} explains them. */
export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  signInNeeded: 4,
  programRefused: 126,
  programAbsent: 127,
  interrupted: 130,
  terminated: 143,
} as const;

export const EXIT_WORDS = {
  0: "done",
  1: "failed: see standard error",
  2: "a command, flag, value or variable is unknown, wrong or missing",
  4: "a person has to sign in: run login",
  126: "exec could not start the program",
  127: "exec did not find the program",
  130: "the person ended a sign-in",
  143: "SIGTERM ended a sign-in",
} satisfies Record<typeof EXIT[keyof typeof EXIT], string>;
