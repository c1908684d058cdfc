import type { MaybePromise } from "../../backends/oidc_credentials_backend.ts";
import type { FlagName, FlagValues } from "./flags.ts";

/** One command. Parser, help, completions and reference are made from it. */
export interface Command {
  readonly name: string;
  readonly summary: string;
  /** Paragraphs below the summary. */
  readonly details: readonly string[];
  readonly flags: readonly FlagName[];
  /** Placeholders for its arguments. A command without them takes none. */
  readonly args?: string;
  /** Words that the completions offer for its arguments. */
  readonly words?: readonly string[];
  /** Whether all words from the first argument on are arguments, flags as well. */
  readonly isRest?: boolean;
  /** Lines to copy, without the program's name. */
  readonly examples: readonly string[];
  /** Completes "Cannot …" in errors. */
  readonly action: string;
  /** Loads its code, which no other command needs. */
  load(): Promise<{ run(call: CommandCall): MaybePromise<number> }>;
}

/** One call of a command. Its `run` does the work and returns the exit code. */
export interface CommandCall {
  readonly flags: FlagValues;
  /** The words after the command that are no flags. */
  readonly args: readonly string[];
  readonly command: Command;
  /** All commands, for the completions. */
  readonly commands: readonly Command[];
}

/** The program's name and specifier, as its own texts give them. */
export const PROGRAM = "validmind-auth";

export const SPECIFIER = "jsr:@validmind/auth/cli";
