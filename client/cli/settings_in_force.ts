import { messageOf } from "../../backends/credentials_backend_error.ts";
import { OPTION_NAMES, type SettingName, settingRow, STORE_NAMES } from "../options/declaration.ts";
import type { Found, Passed } from "../options/origin.ts";
import { findOrigin } from "../options/places.ts";
import type { FlagValues } from "./flags.ts";
import { sessionOptions } from "./sign_in_target.ts";

/** A setting as a report shows it: its value, and the flag, variable or file that gives it. */
interface SettingRow {
  readonly name: string;
  readonly value: unknown;
  readonly source: string;
}

/** The settings in force, with the flags; and those that do not count, with the reason. */
export async function settingsOf(flags: FlagValues, action: string) {
  const store = { backend: flags.text("backend"), backendOptions: flags.text("backend-options") };
  const given = { ...sessionOptions(flags), ...store };
  const { origin, settings, profile } = await findOrigin(given, action);
  origin.complete({}, action, () => true); // a variable that does not fit is an error
  const place = origin.placeOfStore();
  const ofOptions = OPTION_NAMES.map((name) => [name, origin.find(name) ?? origin.passed(name)]);
  const ofStore = STORE_NAMES.map((name) => [name, place?.find(name)]);
  const { path, state, denial, profiles } = settings;
  return {
    path: path || undefined,
    state,
    profile,
    profiles: [...profiles.keys()],
    denial: denial && messageOf(denial),
    rows: ([...ofOptions, ...ofStore] as [SettingName, Found | Passed | undefined][]).flatMap(
      rowOf,
    ),
  };
}

function rowOf([name, found]: [SettingName, Found | Passed | undefined]): SettingRow[] {
  if (found === undefined) return [];
  const { value, from } = found;
  const source = "because" in found ? `${from}, unused: ${found.because}` : from;
  const isSecret = "secret" in settingRow(name);
  return [isSecret ? { name: from, value: undefined, source } : { name, value, source }];
}
