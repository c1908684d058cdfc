import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";
import { ValidMindAuthError } from "../errors.ts";
import { causeLines } from "./cause_lines.ts";
import { EXIT, PROGRAM, SPECIFIER } from "./command.ts";
import { type Output, OutputError } from "./output.ts";
import { UsageError } from "./usage_error.ts";

/** Codes for what a person gave, or left out. */
const USAGE_CODES: readonly string[] = [
  "invalid_options",
  "conflicting_credentials",
  "missing_api_credentials",
  "missing_model",
  "insecure_url",
  "backend_spec_invalid",
  "backend_kwargs_invalid",
  "backend_import_unsupported",
  "env_invalid",
  "env_unset",
  "home_unset",
];

/** Tells why a command failed, on standard error, and gives the exit code. */
export function reportError(
  error: unknown,
  output: Output,
  { isJson, command }: { isJson: boolean; command: string | undefined },
): number {
  const { code, message } = explain(error);
  const hint = hintFor(code, command);
  if (isJson) {
    output.note(`${JSON.stringify({ error: { code, message, ...(hint && { hint }) } })}\n`);
  } else {
    output.note(`error (${code}): ${message}\n${hint === undefined ? "" : `${hint}\n`}`);
  }
  if (code === "login_required") return EXIT.signInNeeded;
  return code === "usage" || USAGE_CODES.includes(code) ? EXIT.usage : EXIT.failure;
}

function explain(error: unknown): { code: string; message: string } {
  const isOwn = error instanceof ValidMindAuthError || error instanceof CredentialsBackendError ||
    error instanceof UsageError || error instanceof OutputError;
  if (isOwn) return { code: error.code, message: error.message + causeLines(error) };
  // What others throw may quote a token, so only its name is told.
  const name = error instanceof Error ? error.name : "value";
  const message =
    `Cannot finish: there was an unexpected ${name}, whose text is left out since it ` +
    `may quote a token. Run doctor, and report it with what you ran.`;
  return { code: "unexpected", message };
}

function hintFor(code: string, command: string | undefined): string | undefined {
  switch (code) {
    case "usage":
      return `Try: ${PROGRAM} ${command === undefined ? "" : `${command} `}--help`;
    case "permission_required":
      return allFlagsHint(command ?? "cli");
    default:
      return undefined;
  }
}

/** What names all permissions at once, where an error can only name those of one step. */
export function allFlagsHint(command: string): string {
  return `All flags at once, for the command that you need: ` +
    `deno run --allow-env ${SPECIFIER} permissions --for ${command}`;
}
