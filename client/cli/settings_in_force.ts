import { readSettings, type Settings } from "../options/settings_file.ts";
import type { FlagValues } from "./flags.ts";
import { sessionOptions } from "./sign_in_target.ts";

/** The settings in force, with the flags. */
export function settingsOf(flags: FlagValues): Settings {
  const backend = { backend: flags.text("backend"), backendOptions: flags.text("backend-options") };
  const given = { ...sessionOptions(flags) as Record<string, unknown>, ...backend };
  return readSettings(given, flags.text("config"));
}
