import { readEnvIfGranted } from "../../../backends/common/platform.ts";
import { printable } from "../../../backends/common/printable.ts";
import { readBackendChoice } from "../../../backends/load/backend_choice.ts";
import { OPTION_NAMES, optionRow } from "../../options/declaration.ts";
import { preflight } from "../../permissions/preflight.ts";
import { selectionNeeds } from "../../permissions/start_needs.ts";
import { columns } from "../output.ts";
import { type Command, EXIT, printResult, PROGRAM } from "../command.ts";
import type { FlagName, FlagValues } from "../flags.ts";
import { EXAMPLE, SETTINGS } from "../settings.ts";
import { identityNeeds, OPTION_FLAGS } from "../sign_in_target.ts";

export const config: Command = {
  name: "config",
  summary: "show the settings that apply, and where each comes from",
  details: [
    "A flag wins over a variable, and a variable over the settings file; a profile of the file that " +
    "--profile names wins over variables, too. Without --config the file is ~/.validmind/settings.json, " +
    "or the one that VM_AUTH_CONFIG names. Only this program reads it: scripts and notebooks take " +
    "options and variables.",
    `It looks like ${EXAMPLE}, with {"profiles": {"NAME": {…}}} in it for further sign-ins. ` +
    `Its settings: ${Object.keys(SETTINGS).join(", ")}. No secret belongs into it.`,
  ],
  flags: [...OPTION_FLAGS, "json"],
  examples: ["config", "config --profile staging", "config --json | jq -r .file.path"],
  action: "show the settings",
  async run(invocation) {
    const { flags } = invocation;
    await preflight(config.action, [...identityNeeds(flags), ...selectionNeeds()], "always");
    const { state, path, profile, profiles, denial: reason } = flags.settings;
    const rows = settingRows(flags);
    const settings = Object.fromEntries(
      rows.map(([name, value, source]) => [name, { value: value ?? undefined, source }]),
    );
    const place = state === "absent" || path === "" ? `none: ${path || "it is turned off"}` : path;
    const applies = profile === undefined ? "" : `profile ${profile} applies; `;
    const names = profiles.length === 0 ? "" : ` (${applies}profiles: ${profiles.join(", ")})`;
    const text = [
      columns([["settings file", place + names]]),
      ...(reason === undefined ? [] : [`${reason}\n`]),
      rows.length === 0 ? "\nNothing is set.\n" : `\n${
        columns(rows.map(([name, value, source]) => [
          name,
          value === null ? "(set, not shown)" : printable(textOf(value), 500),
          source === path ? "settings file" : source,
        ]))
      }`,
      ...(state === "absent"
        ? [`\nTo keep settings for ${PROGRAM}, write ${path}, such as\n  ${EXAMPLE}\n`]
        : []),
    ].join("");
    const file = { path: path || undefined, state, profile, profiles, reason };
    printResult(invocation, { file, settings }, text);
    return EXIT.ok;
  },
};

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Name, value and source of each setting. The value is `null` where it may be a secret. */
function settingRows(flags: FlagValues): [name: string, value: unknown, source: string][] {
  const { path, sources, values } = flags.settings;
  const valueOf = (name: string, source: string) => {
    if (source === path) return values[name];
    if (source.startsWith("--")) return flags.text(source.slice(2) as FlagName) ?? true;
    if (name === "backend") return readBackendChoice(readEnvIfGranted).name;
    return name === "backendOptions" ? null : readEnvIfGranted(source);
  };
  const secrets = OPTION_NAMES.map(optionRow)
    .flatMap(({ secret, variable }) => secret && variable ? [variable] : [])
    .filter((variable) => readEnvIfGranted(variable) !== undefined);
  return [
    ...Object.entries(sources)
      .map(([name, source]): [string, unknown, string] => [name, valueOf(name, source), source]),
    ...secrets.map((variable): [string, null, string] => [variable, null, variable]),
  ];
}
