import { type CommandCall, EXIT } from "../command.ts";
import { printResult } from "../output.ts";
import { findTarget } from "../sign_in_target.ts";
import { readStatus, statusText } from "../status_report.ts";

export async function run({ flags, command }: CommandCall): Promise<number> {
  const target = await findTarget(flags, command.action);
  const report = await readStatus(target);
  printResult(flags, report, statusText(report, target));
  return report.signedIn ? EXIT.ok : EXIT.signInNeeded;
}
