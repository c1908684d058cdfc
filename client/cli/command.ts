import type { PermissionNeed } from "../permission_need.ts";
import type { FlagName, FlagValues } from "./flags.ts";
import type { Output } from "./output.ts";

/** How the program is called in its own texts. */
export const PROGRAM = "validmind-auth";

/** Where the program is imported from. */
export const SPECIFIER = "jsr:@validmind/auth/cli";

/** Exit codes: what a script can tell apart. */
export const EXIT = {
  /** It is done. */
  ok: 0,
  /** It failed; standard error says why. */
  failure: 1,
  /** The command, a flag, a value or a variable is unknown, wrong or missing. */
  usage: 2,
  /** A person has to sign in. */
  signInNeeded: 4,
} as const;

/** What a command is told. */
export interface Invocation {
  readonly flags: FlagValues;
  /** The word after the command, where it takes one. */
  readonly argument: string | undefined;
  readonly output: Output;
}

/** One command, as parser, help, completions and README need it. */
export interface Command {
  readonly name: string;
  /** What it does, in one line. */
  readonly summary: string;
  /** What else a person should know, in lines. */
  readonly details: readonly string[];
  /** The word that it takes after its name. */
  readonly argument?: { readonly name: string; readonly choices: readonly string[] };
  readonly flags: readonly FlagName[];
  /** Lines that can be copied, without the program's name. */
  readonly examples: readonly string[];
  /**
   * What it needs of Deno with these flags.
   *
   * @param discover Whether the provider may be asked for its other hosts.
   */
  readonly needs: (flags: FlagValues, discover?: boolean) => Promise<PermissionNeed[]>;
  /** Does it, and gives the exit code. */
  readonly run: (invocation: Invocation) => Promise<number>;
}
