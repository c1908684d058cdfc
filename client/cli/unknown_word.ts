import { didYouMean } from "../../backends/common/check_options.ts";
import { optionNamed, optionRow } from "../options/declaration.ts";
import { shown } from "../options/settings_path.ts";
import { type CliError, usageError } from "./command.ts";

/** The error for a word that is not among the known ones. No secret has a flag or a setting. */
export function unknownWord(word: string, place: string, choices: readonly string[]): CliError {
  const option = optionNamed(word.replace(/^-+/, ""));
  const row = option && optionRow(option);
  // An option with a flag is not lacking: its name stands in a wrong place.
  const variable = row?.flag === undefined ? row?.variable : undefined;
  const hint = variable === undefined
    ? didYouMean(word, choices) || `It takes: ${choices.join(", ")}.`
    : `Set ${variable} instead.`;
  const name = shown(word, "that");
  return usageError(`Cannot use ${name} as ${place}: it is not known. ${hint}`);
}
