import { openNeeds, selectionNeeds } from "../../permissions/start_needs.ts";
import { readBackendChoice } from "../../../backends/load/backend_choice.ts";
import { readEnvIfGranted } from "../../../backends/common/platform.ts";
import { printable } from "../../../backends/common/printable.ts";
import { CLIENT_AUTH_VARIABLES } from "../../options/resolve_identity.ts";
import { preflight } from "../../permissions/preflight.ts";
import { columns } from "../columns.ts";
import { type Command, EXIT, type Plan, printResult, PROGRAM, simplePlan } from "../command.ts";
import type { FlagName, FlagValues } from "../flags.ts";
import { SETTING_NAMES, type SettingName, settingOf } from "../settings/setting.ts";
import type { Settings } from "../settings/settings.ts";
import { identityNeeds, SIGN_IN_FLAGS } from "../sign_in_target.ts";

const EXAMPLE = '{"default": {"issuer": "https://login.example.com", "clientId": "my-client"}}';

/** Settings that a person has of one provider, and in the form of the file. */
const KEPT: readonly SettingName[] = ["issuer", "clientId", "audience", "scope", "flow", "apiHost"];

/** The secret of the client that variables name, and of no other. */
const SECRET = CLIENT_AUTH_VARIABLES.clientSecret;
const UNUSED = "(set, not used: VM_OIDC_ISSUER and VM_OIDC_CLIENT_ID do not name this client)";

/** Variables that hold a secret, whose values are never shown. */
const SECRET_VARIABLES = [SECRET, "VM_API_KEY", "VM_API_SECRET"];

export const config: Command<Plan> = {
  name: "config",
  summary: "show the settings that apply, and where each comes from",
  details: [
    "A flag wins over a variable, and a variable over the settings file; a profile of the file that " +
    "--profile names wins over variables, too. Without --config the file is " +
    "validmind-auth/config.json in $XDG_CONFIG_HOME or ~/.config (%APPDATA% on Windows). Only this " +
    "program reads it: scripts and notebooks take options and variables.",
    `It looks like ${EXAMPLE}, with {"profiles": {"NAME": {…}}} beside it. ` +
    `Its settings: ${SETTING_NAMES.join(", ")}. No secret belongs into it.`,
  ],
  flags: [...SIGN_IN_FLAGS, "redirect-uri", "listen", "login-hint", "api-host", "json"],
  examples: ["config", "config --profile staging", "config --json | jq -r .file.path"],
  action: "show the settings",
  async prepare(flags, action) {
    const needs = [
      ...identityNeeds(flags),
      ...selectionNeeds(),
      ...openNeeds("optional", "to find the API", {
        VM_API_URL: undefined,
        VM_API_HOST: undefined,
      }),
      ...openNeeds("optional", "to show the settings", {
        VM_OIDC_DENO_CREDENTIALS_BACKEND_KWARGS: undefined,
        VM_OIDC_CREDENTIALS_BACKEND_KWARGS: undefined,
        VM_OIDC_REDIRECT_URI: undefined,
        VM_OIDC_LISTEN: undefined,
        VM_OIDC_CLIENT_SECRET: undefined,
        VM_OIDC_CLIENT_KEY_FILE: undefined,
        VM_OIDC_CLIENT_ASSERTION_FILE: undefined,
      }),
    ];
    await preflight(action, needs, "always");
    return simplePlan(() => needs);
  },
  run(_, invocation) {
    const { flags } = invocation;
    const { state, path, entryName, profiles, denial } = flags.settings;
    const rows = settingRows(flags);
    const file = {
      ...(path !== undefined && { path }),
      state,
      ...(state === "read" && { entry: entryName, profiles }),
      ...(denial !== undefined && { reason: denial }),
    };
    const settings = Object.fromEntries(
      rows.map(({ name, value, source }) => [name, { ...(value !== null && { value }), source }]),
    );
    const shown = rows.map(({ name, value, source }) => [
      name,
      source === SECRET && !flags.settings.isClientOfVariables() ? UNUSED : textOf(value),
      source === path ? "settings file" : source,
    ]);
    const text = columns([["settings file", fileText(flags.settings)]]) +
      (denial === undefined ? "" : `${denial}\n`) +
      (rows.length === 0 ? "\nNothing is set.\n" : `\n${columns(shown)}`) +
      (state === "absent" ? advice(path!, rows) : "");
    printResult(invocation, { file, settings }, text);
    return EXIT.ok;
  },
};

interface Row {
  readonly name: string;
  /** `null` where it is not shown. */
  readonly value: unknown;
  readonly source: string;
}

function settingRows(flags: FlagValues): Row[] {
  const { settings } = flags;
  const profile = settings.profileSource;
  return [
    ...(profile === undefined ? [] : [{
      name: "profile",
      value: flags.text("profile") ?? readEnvIfGranted(profile),
      source: profile,
    }]),
    ...SETTING_NAMES.flatMap((name) => {
      const source = settings.sourceOf(name);
      return source === undefined ? [] : [{ name, value: valueOf(name, source, flags), source }];
    }),
    ...SECRET_VARIABLES.filter((variable) => readEnvIfGranted(variable) !== undefined)
      .map((variable) => ({ name: variable, value: null, source: variable })),
  ];
}

/** The value of a setting. A backend's options in a variable may hold a secret. */
function valueOf(name: SettingName, source: string, flags: FlagValues): unknown {
  const { flag } = settingOf(name);
  if (source === `--${flag}`) return flags.text(flag as FlagName) ?? true;
  if (source === flags.settings.path) return flags.settings.value(name);
  if (name === "backend") return readBackendChoice(readEnvIfGranted).name;
  return name === "backendOptions" ? null : readEnvIfGranted(source);
}

function textOf(value: unknown): string {
  if (value === null) return "(set, not shown)";
  return printable(typeof value === "string" ? value : JSON.stringify(value), 500);
}

function fileText({ state, path, entryName, profiles }: Settings): string {
  if (path === undefined) return "none: no variable that may be read leads to it";
  if (state === "absent") return `none: ${path}`;
  if (state !== "read") return path;
  const others = profiles.length === 0 ? "" : `; profiles: ${profiles.join(", ")}`;
  return `${path} ("${entryName}" applies${others})`;
}

/** A file with the settings that flags and variables give now; else an example. */
function advice(path: string, rows: readonly Row[]): string {
  const given = rows.filter(({ name }) => KEPT.includes(name as SettingName))
    .map(({ name, value }) => [name, value]);
  const settings = given.length === 0
    ? EXAMPLE
    : JSON.stringify({ default: Object.fromEntries(given) });
  return `\nTo keep settings for ${PROGRAM}, write ${path}, such as\n  ${settings}\n`;
}
