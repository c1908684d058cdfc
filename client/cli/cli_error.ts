import { didYouMean } from "../../backends/credentials_backend_error.ts";
import { shown } from "../options/settings_file.ts";

export { shown };

/** An error of the command line itself, in its own words. */
export class CliError extends Error {
  override readonly name = "CliError";

  constructor(message: string, readonly code: "usage" | "output_failed") {
    super(message);
  }
}

/** A command line that cannot be used. */
export function usageError(message: string): CliError {
  return new CliError(message, "usage");
}

export function unknownWord(
  word: string,
  place: string,
  choices: readonly string[],
  more = "",
): CliError {
  const hint = didYouMean(word, choices) || `It takes: ${choices.join(", ")}${more}.`;
  return usageError(
    `Cannot use ${shown(word, "that value")} as ${place}: it is not known. ${hint}`,
  );
}
