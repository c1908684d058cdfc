import { didYouMean } from "../../backends/common/check_options.ts";
import { optionNamed, optionRow } from "../options/declaration.ts";
import { shown } from "../options/settings_path.ts";
import { usageError } from "./command.ts";

/** The error for a word that is not among the known ones. No secret has a flag or a setting. */
export function unknownWord(word: string, place: string, choices: readonly string[]) {
  const option = optionNamed(word.replace(/^-+/, ""));
  const row = option && optionRow(option);
  let hint = didYouMean(word, choices) || `It takes: ${choices.join(", ")}.`;
  // An option with a flag is not lacking: its name stands in a wrong place.
  if (row?.variable !== undefined && row.flag === undefined) hint = `Set ${row.variable} instead.`;
  return usageError(`Cannot use ${shown(word, "that")} as ${place}: it is not known. ${hint}`);
}
