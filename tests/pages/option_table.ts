import { OPTION_NAMES, optionRow } from "../../client/options/declaration.ts";
import { type Generated, generated, table } from "./generated_part.ts";

const BEGIN = "<!-- options: made by `deno task readme`, checked by the tests -->";
const END = "<!-- end of options -->";

/** The options that code, variables and flags share, for client/options.md. */
export function optionTable(): Generated {
  const rows = OPTION_NAMES.map((name) => ({ name, ...optionRow(name) }))
    .filter(({ group }) => group !== "code")
    .map(({ name, variable, flag, help }) => [
      `\`${name}\``,
      variable === undefined ? "" : `\`${variable}\``,
      flag === undefined ? "" : `\`--${flag}\``,
      help,
    ]);
  return generated(BEGIN, table(["option", "variable", "flag", "use"], rows), END);
}
