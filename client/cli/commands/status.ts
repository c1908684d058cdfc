import { preflight } from "../../permissions/preflight.ts";
import { type Command, EXIT, type Invocation, printResult } from "../command.ts";
import { readStatus, type StatusReport } from "../read_status.ts";
import { findTarget, SIGN_IN_FLAGS, type SignInTarget } from "../sign_in_target.ts";
import { statusText } from "../status_text.ts";

export const status: Command<SignInTarget> = {
  name: "status",
  summary: "show who is signed in, until when, and where the tokens are",
  details: [
    "Reads the store only: nothing is refreshed, and nobody is asked. Exit code 4 means " +
    "that the next use needs a person. Set by tells which flag, variable or settings file decides.",
  ],
  flags: [...SIGN_IN_FLAGS, "json", "quiet"],
  examples: ["status", "status --json | jq -r .expires_at", "status --quiet || echo sign in first"],
  action: "show the status",
  /** The store is read and not written, so that its other permissions are not needed. */
  async prepare(flags, action) {
    const target = await findTarget(flags, action);
    const needs = async () => (await target.needs()).filter(({ need }) => need !== "sign_in");
    return { ...target, needs };
  },
  async run(target, invocation) {
    await preflight(status.action, await target.needs(), "always");
    return printStatus(await reportOf(target), invocation);
  },
};

export async function reportOf({ stored, sources }: SignInTarget): Promise<StatusReport> {
  if (stored === undefined) return { signed_in: true, state: "api_key" };
  return { ...await readStatus(stored.identity, stored.chosen.backend, Date.now()), sources };
}

export function printStatus(report: StatusReport, invocation: Invocation): number {
  printResult(invocation, report, statusText(report, Date.now(), invocation.flags.settings));
  return report.signed_in ? EXIT.ok : EXIT.signInNeeded;
}
