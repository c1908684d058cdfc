import { printable } from "../../../backends/common/printable.ts";

/** The settings file cannot be used. Its message is in the words of the command line already. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
  readonly code = "settings_invalid";

  constructor(path: string, reason: string, advice: string) {
    super(`Cannot use the settings file ${printable(path, 500)}: ${reason}. ${advice}`);
  }
}
