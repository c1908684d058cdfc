import { printable } from "../../backends/common/printable.ts";
import {
  type CredentialsBackendError,
  messageOf,
} from "../../backends/credentials_backend_error.ts";
import { FIND_API } from "../api/demand.ts";
import { type ApiError, isOwnError, ownError, ValidMindAuthError } from "../errors.ts";
import { argument, demandFlags, flagsFor, type NamedSignIn } from "../tokens/login_required.ts";
import { CliError, EXIT, PROGRAM } from "./command.ts";
import { type FlagName, FlagValues, IDENTITY_FLAGS, STORE_FLAGS } from "./flags.ts";
import { note, toJsonText } from "./output.ts";

/** The codes of options, variables and settings that cannot be used. */
const SETTING_CODES = [
  "settings_invalid",
  "invalid_options",
  "conflicting_credentials",
  "missing_api_credentials",
  "missing_model",
  "api_host_missing",
  "insecure_url",
  "backend_spec_invalid",
  "backend_kwargs_invalid",
  "backend_import_unsupported",
  "env_invalid",
  "env_unset",
  "home_unset",
];

/** What may help beside the sources of the settings. */
const OTHERWISE: Readonly<Record<string, string>> = {
  missing_api_credentials: ", or login ADDRESS, which asks the API at that address",
  "logout missing_api_credentials": ", or list, which names the sign-ins, or logout --all",
};

/**
 * Writes the error of a command to standard error and returns the exit code. `flags` are absent where
 * the arguments could not be parsed.
 */
export async function reportError(
  error: unknown,
  isJson: boolean,
  command: string | undefined,
  flags = new FlagValues(),
) {
  // The person or a signal has ended it, and the prompt has said so.
  if (error instanceof DOMException && error.name === "AbortError") {
    const { signal } = error as { signal?: Deno.Signal };
    return signal === "SIGTERM" ? EXIT.terminated : EXIT.interrupted;
  }
  const { code, message } = describeError(error, flags);
  const hint = await hintFor(error, code, flags, command);
  if (isJson) note(toJsonText({ error: { code, message, hint } }));
  else note(`error (${code}): ${message}\n${hint ? `${hint}\n` : ""}`);
  if (error instanceof CliError) return error.exit;
  if (/^(login|reauthentication)_required$/.test(code)) return EXIT.signInNeeded;
  return SETTING_CODES.includes(code) ? EXIT.usage : EXIT.failure;
}

/**
 * What helps against an error: the help, the sources of the settings, or the installation with the
 * permissions that it lacks.
 */
export async function hintFor(
  error: unknown,
  code: string,
  flags: FlagValues,
  command: string | undefined,
): Promise<string | undefined> {
  if (code === "usage") return `Try: ${[PROGRAM, command, "--help"].filter(Boolean).join(" ")}`;
  const isShownByConfig = SETTING_CODES.includes(code) && code !== "settings_invalid" &&
    (error as ValidMindAuthError).action !== FIND_API;
  if (isShownByConfig && command !== "config") {
    const places = valueFlags(flags, ["profile", "config"]);
    return `Try: ${PROGRAM} config${places}, which shows where each value comes from${
      OTHERWISE[`${command} ${code}`] ?? OTHERWISE[code] ?? ""
    }`;
  }
  const isKv = code === "unstable_kv_required";
  if (code !== "permission_required" && !isKv) return undefined;
  const { installAdvice } = await import("./commands/permissions.ts");
  return await installAdvice(flags, (error as ValidMindAuthError).permissions ?? [], isKv);
}

/**
 * Code and message of an error in words of the command line, with its causes: flags instead of options,
 * commands instead of calls.
 *
 * @param stored The sign-in to remove, in place of that of the flags.
 */
export function describeError(thrown: unknown, flags: FlagValues, stored?: NamedSignIn) {
  const error = ownError(thrown);
  if (isOwnError(error) || error instanceof CliError) {
    const message = inShell(error, flags) + removalLine(error, flags, stored) + causeLines(error);
    return { code: error.code, message };
  }
  // The text of a foreign error may quote a token.
  const name = error instanceof Error ? error.name : "value";
  const message =
    `Cannot finish: an unexpected ${name} was thrown. Its text is left out because it may quote a ` +
    `token. Run ${PROGRAM} doctor, and report the error with the command that you ran.`;
  return { code: "unexpected", message };
}

/** The message of an error. A way to sign in is the command's own, with its store. */
function inShell(error: Error, flags: FlagValues) {
  if (!(error instanceof ValidMindAuthError)) return error.message;
  const { action, reason, permissions } = error;
  if (permissions !== undefined) return `Cannot ${action}: ${reason}.`; // the hint has the flags
  const call = signInCall(error, flags);
  if (call === undefined) return error.message;
  return messageOf({ action, reason, remedy: `Sign in with\n  ${PROGRAM} ${call}` });
}

/** The command that signs in as an error wants it, if it wants that. */
function signInCall({ code, signIn, demand }: Partial<ApiError>, flags: FlagValues) {
  const own = valueFlags(flags, [...IDENTITY_FLAGS, "scope", ...STORE_FLAGS]);
  if (demand) return `login${own}${demandFlags(demand)}`;
  if (code !== "login_required") return undefined;
  if (signIn === undefined) return `token --login${own}`;
  const named = {
    ...signIn,
    // One that a variable names would win over other variables, were it given as a flag.
    profile: flags.text("profile"),
    audience: flags.text("audience") ?? signIn.audience,
  };
  return `login${flagsFor(named)}${valueFlags(flags, STORE_FLAGS)}`;
}

/** Causes that add to the message, one line each: those of this module's errors hold no secret. */
function causeLines({ message, cause }: { message: string; cause?: unknown }): string {
  if (!(cause instanceof Error)) return "";
  // Its own cause says why.
  if (cause.message === "fetch failed" || message.includes(cause.message)) {
    return causeLines({ message, cause: cause.cause });
  }
  return `\ncaused by ${cause.name}: ${printable(cause.message)}${causeLines(cause)}`;
}

/** The command that removes what an error is about, with the flags of its store. */
function removalLine(error: Error, flags: FlagValues, stored: NamedSignIn | undefined) {
  const { signOut } = error as Partial<CredentialsBackendError>;
  if (signOut === undefined) return "";
  const store = valueFlags(flags, STORE_FLAGS);
  const named = stored ? flagsFor(stored) : valueFlags(flags, IDENTITY_FLAGS);
  return `\nTo remove it: ${PROGRAM} logout${signOut === "all" ? " --all" : named}${store}`;
}

/** Those of these flags that a call has, for another command. */
export function valueFlags(flags: FlagValues, names: readonly FlagName[]) {
  return names.map((name) => argument(name, flags.text(name) ?? flags.has(name))).join("");
}
