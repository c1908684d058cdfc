import type { MaybePromise } from "../../backends/oidc_credentials_backend.ts";
import type { FlagName, FlagValues } from "./flags.ts";
import { type Output, toJsonText } from "./output.ts";

/** The program's name and specifier, as its own texts give them. */
export const PROGRAM = "validmind-auth";
export const SPECIFIER = "jsr:@validmind/auth/cli";

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

export const EXIT_WORDS: readonly (readonly [code: number, meaning: string])[] = [
  [EXIT.ok, "done"],
  [EXIT.failure, "failed: see standard error"],
  [EXIT.usage, "a command, flag, value or variable is unknown, wrong or missing"],
  [EXIT.signInNeeded, "a person has to sign in: run login"],
  [EXIT.programRefused, "exec could not start the program"],
  [EXIT.programAbsent, "exec did not find the program"],
  [EXIT.interrupted, "the person ended a sign-in in the browser"],
  [EXIT.terminated, "SIGTERM ended a sign-in in the browser"],
];

export interface Invocation {
  readonly flags: FlagValues;
  /** The words after the command that are no flags. */
  readonly args: readonly string[];
  readonly output: Output;
}

/** One command. Parser, help, completions and reference are made from it. */
export interface Command {
  readonly name: string;
  readonly summary: string;
  /** Paragraphs below the summary. */
  readonly details: readonly string[];
  readonly flags: readonly FlagName[];
  /** Placeholders for its arguments. A command without them takes none. */
  readonly args?: string;
  /** Whether all words from the first argument on are arguments, flags as well. */
  readonly isRest?: boolean;
  /** Lines to copy, without the program's name. */
  readonly examples: readonly string[];
  /** Completes "Cannot …" in errors. */
  readonly action: string;
  /** Does the work and returns the exit code. */
  run(invocation: Invocation): MaybePromise<number>;
}

/** Prints a result as JSON with `--json`, not at all with `--quiet`, else as text. */
export function printResult({ flags, output }: Invocation, json: unknown, text: string): void {
  if (flags.has("json")) output.print(toJsonText(json, 2));
  else if (!flags.has("quiet")) output.print(text);
}
