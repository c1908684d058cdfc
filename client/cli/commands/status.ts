import { type Command, EXIT, printResult } from "../command.ts";
import { readStatus, type StatusReport, statusText } from "../status_report.ts";
import { findTarget, SIGN_IN_FLAGS, type SignInTarget } from "../sign_in_target.ts";

export const status: Command = {
  name: "status",
  summary: "show who is signed in, until when, and where the tokens are",
  details: [
    "Reads the store only: nothing is refreshed, and nobody is asked. Exit code 4 means " +
    "that the next use needs a person. config list shows which flag, variable or file decides.",
  ],
  flags: [...SIGN_IN_FLAGS, "json", "quiet"],
  examples: ["status", "status --json | jq -r .expires_at", "status --quiet || echo sign in first"],
  action: "show the status",
  async run(invocation) {
    const target = await findTarget(invocation.flags, status.action);
    const report = await reportOf(target);
    printResult(invocation, report, statusText(report, Date.now()));
    return report.signed_in ? EXIT.ok : EXIT.signInNeeded;
  },
};

export async function reportOf({ stored }: SignInTarget): Promise<StatusReport> {
  if (stored === undefined) return { signed_in: true, state: "api_key" };
  return await readStatus(stored.identity, stored.chosen.backend, Date.now());
}
