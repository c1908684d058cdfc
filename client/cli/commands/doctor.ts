import { VERSION } from "../../signed_in/session.ts";
import { columns } from "../output.ts";
import { type Command, EXIT, printResult, PROGRAM } from "../command.ts";
import { ACTION, examine } from "../doctor/examine.ts";
import type { Finding } from "../doctor/finding.ts";
import { SIGN_IN_FLAGS } from "../sign_in_target.ts";

export const doctor: Command = {
  name: "doctor",
  summary: "check settings, permissions, store, provider, clock and API",
  details: [
    "Each line is ok, warning or fail, with the remedy; a fail makes the exit code 1. " +
    "Nothing is changed: a test entry is written to the store under its own key, and " +
    "removed (a missing store is created, empty). No token leaves the store.",
  ],
  flags: [...SIGN_IN_FLAGS, "api-host", "json", "quiet"],
  examples: ["doctor", "doctor --json | jq '.checks[] | select(.result == \"fail\")'"],
  action: ACTION,
  reportsSettings: true,
  async run(invocation) {
    const checks = await examine(invocation.flags);
    const isFailed = checks.some(({ result }) => result === "fail");
    const versions = { [PROGRAM]: VERSION, deno: Deno.version.deno };
    const text = `${PROGRAM} ${VERSION}, deno ${Deno.version.deno}\n\n${findingsText(checks)}`;
    printResult(invocation, { ok: !isFailed, versions, checks }, text);
    return isFailed ? EXIT.failure : EXIT.ok;
  },
};

function findingsText(checks: readonly Finding[]): string {
  return columns(checks.flatMap(({ result, check, message, advice }) => {
    const [first = "", ...rest] = message.split("\n");
    const more = [...rest, ...(advice === undefined ? [] : [`→ ${advice}`])];
    return [[result, check, first], ...more.map((line) => ["", "", line])];
  }));
}
