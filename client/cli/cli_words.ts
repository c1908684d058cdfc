import { quoteArgument } from "../../backends/common/platform.ts";
import {
  messageFor,
  type Term,
  type Vocabulary,
} from "../../backends/credentials_backend_error.ts";
import { type OptionName, optionRow, OPTIONS } from "../options/declaration.ts";
import { PROGRAM, SPECIFIER } from "./command.ts";
import type { FlagName, FlagValues } from "./flags.ts";
import { IDENTITY_FLAGS } from "./sign_in_target.ts";

/** The options of a sign-in, as a stored entry or an error names it. */
type SignInOptions = Readonly<Partial<Record<OptionName, unknown>>>;

/**
 * The message of an error in words of the command line: flags instead of options, commands instead of
 * calls.
 *
 * @param signIn The sign-in that commands name, in place of that of the flags.
 */
export function inCliWords(
  error: Error,
  flags: FlagValues | undefined,
  signIn?: SignInOptions,
): string {
  const named = signIn === undefined ? valueFlags(flags, IDENTITY_FLAGS) : flagsFor(signIn);
  const vocabulary: Vocabulary = (term) =>
    term.kind === "option" ? flagFor(term) : commandFor(term, flags, named);
  return messageFor(error, vocabulary);
}

/** The command that signs in as this call would. */
export function loginCommand(flags: FlagValues): string {
  return `${PROGRAM} login${valueFlags(flags, IDENTITY_FLAGS)}${storeFlags(flags)}`;
}

/** The flag of an option, or its variable where it has none. The words of code where it has neither. */
function flagFor({ name, value, variable }: Term): string | undefined {
  const { flag } = Object.hasOwn(OPTIONS, name)
    ? optionRow(name as OptionName)
    : { flag: undefined };
  // Few commands take --api-host.
  if (name === "apiHost") return variable;
  if (flag === undefined) return variable ?? `${name} in code`;
  if (name === "openBrowser" && value === false) return "--no-open";
  const given = typeof value === "string" ? `--${flag} ${value}` : `--${flag}`;
  return variable === undefined ? given : `${given} (${variable})`;
}

function commandFor(
  { name, value }: Term,
  flags: FlagValues | undefined,
  named: string,
): string | undefined {
  const store = storeFlags(flags);
  if (name === "clearOidcCredentials") {
    const { all } = value as { all?: boolean };
    return `${PROGRAM} logout${all ? " --all" : named}${store}`;
  }
  if (name === "setDefaultBackend") return "";
  if (name === "init") return `${PROGRAM} token --login${named}${store}`;
  if (name !== "login") return undefined;
  // A profile that a variable names would win over other variables, were it given as a flag.
  const isByVariable = flags?.settings.profile !== undefined && !flags.settings.isTyped;
  const signIn = { ...value as SignInOptions, ...isByVariable && { profile: undefined } };
  const login = `login${flagsFor(signIn)}${store}`;
  const unstable = typeof Deno.openKv === "function" ? " --unstable-kv" : ""; // as this process
  return `Sign in with\n  ${PROGRAM} ${login}\nor, without an installation, with\n` +
    `  deno run -A --no-config${unstable} ${SPECIFIER} ${login}`;
}

/** The flags that name a sign-in as it is stored. */
function flagsFor(signIn: SignInOptions): string {
  return Object.entries(signIn).map(([name, value]) => {
    const { flag } = optionRow(name as OptionName);
    return value === undefined || flag === undefined
      ? ""
      : value === true
      ? ` --${flag}`
      : ` --${flag} ${quoteArgument(`${value}`)}`;
  }).join("");
}

/** The flags of a call that choose its store, for another command on the same store. */
function storeFlags(flags: FlagValues | undefined): string {
  return valueFlags(flags, ["backend", "backend-options", "config"]);
}

function valueFlags(flags: FlagValues | undefined, names: readonly FlagName[]): string {
  return names.map((name) => {
    const value = flags?.text(name);
    return value === undefined ? "" : ` --${name} ${quoteArgument(value)}`;
  }).join("");
}
