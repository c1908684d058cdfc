import { formatPermissionFlags } from "@validmind/auth";
import { type Command, commandNeeds, EXIT_WORDS } from "../../client/cli/command.ts";
import { COMMANDS } from "../../client/cli/main.ts";
import { type FlagName, FLAGS, FlagValues } from "../../client/cli/flags.ts";
import { flagUsage } from "../../client/cli/commands/help.ts";
import { OwnEnv } from "./own_env.ts";
import { type Generated, generated, table } from "./generated_part.ts";

const CLI_BEGIN = "<!-- commands: made by `deno task readme`, checked by the tests -->";
const CLI_END = "<!-- end of commands -->";

/** The hosts of README's quick start; the home stays a variable. */
const SETTINGS = {
  HOME: "$HOME",
  VM_OIDC_ISSUER: "https://login.example.com",
  VM_OIDC_CLIENT_ID: "my-client",
  VM_API_HOST: "https://api.example.com/api/v1/tracking/",
};

/** The reference of the command line in client/README.md, from the table that drives it. */
export async function cliReference(): Promise<Generated> {
  const parts = [
    table(["command", "what it does", "flags beside `--help`"], COMMANDS.map(commandRow)),
    "",
    table(["flag", "meaning", "default"], flagRows()),
    "",
    table(["exit code", "meaning"], EXIT_WORDS.map(([code, words]) => [`${code}`, words])),
    "",
    "What each command needs of Deno, with the settings of the quick start and the default backend:",
    "",
    table(["command", "flags"], await permissionRows()),
  ];
  return generated(CLI_BEGIN, parts.join("\n"), CLI_END);
}

function commandRow({ name, argument, summary, flags }: Command): string[] {
  const choices = argument?.isOptional ? `[${argument.name}]` : argument?.choices.join("\\|") ?? "";
  const usage = `${name} ${choices}`.trim();
  return [`\`${usage}\``, summary, flags.map((flag) => `\`--${flag}\``).join(" ")];
}

function flagRows(): string[][] {
  const used = new Set(COMMANDS.flatMap(({ flags }) => flags));
  return [...used].map((name: FlagName) => {
    const { summary, choices, variable, short } = FLAGS[name];
    const offer = choices === undefined ? "" : `: ${choices.map((one) => `\`${one}\``).join(", ")}`;
    return [
      `${short === undefined ? "" : `\`-${short}\` `}\`${flagUsage(name)}\``,
      `${summary.replace(/<.*>/, "`$&`")}${offer}`,
      variable === undefined ? "" : `\`${variable}\``,
    ];
  });
}

async function permissionRows(): Promise<string[][]> {
  using _ = new OwnEnv(SETTINGS);
  const rows = [];
  for (const command of COMMANDS) rows.push([`\`${command.name}\``, await flagsOf(command)]);
  return rows;
}

async function flagsOf(command: Command): Promise<string> {
  if (command.name === "migrate") return "what both backends need: `permissions --for migrate`";
  const needs = await commandNeeds(command, new FlagValues());
  const isSet = (variable?: string) => variable !== undefined && Object.hasOwn(SETTINGS, variable);
  const required = needs.filter((one) =>
    one.need !== "optional" || (one.name === "env" && isSet(one.variable))
  );
  const flags = formatPermissionFlags(required).replaceAll("'", "");
  return flags === "" ? "none" : flags.split(" ").map((flag) => `\`${flag}\``).join(" ");
}
