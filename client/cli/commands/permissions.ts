import { readEnvIfGranted } from "../../../backends/common/environment.ts";
import { isInKv } from "../../../backends/common/marks.ts";
import {
  formatPermissionFlags,
  formatPermissionSet,
  type PermissionNeed,
} from "../../format_permissions.ts";
import { requiredPermissions } from "../../init.ts";
import { uniqueNeeds } from "../../permissions/start_needs.ts";
import { type CommandCall, EXIT, PROGRAM, SPECIFIER, usageError } from "../command.ts";
import { printResult } from "../output.ts";
import { chooseBackend, fileNeeds, identityNeeds, sessionOptions } from "../sign_in_target.ts";

export async function run({ flags, command }: CommandCall): Promise<number> {
  const kind = flags.text("for") ?? "script";
  const isCli = kind === "cli";
  if (!isCli && flags.has("config")) {
    throw usageError(
      `Cannot use --config with --for ${kind}: a script takes no flag. Set VM_AUTH_CONFIG instead.`,
    );
  }
  const chosen = await chooseBackend(flags, command.action, identityNeeds(flags));
  const isGiven = isCli || flags.has("backend");
  const needs = uniqueNeeds([
    ...(isCli ? [...fileNeeds(flags), ...chosen.needs] : []),
    ...await requiredPermissions({
      ...sessionOptions(flags),
      credentialsBackend: isGiven ? chosen.backend : undefined,
    }, { call: kind === "init" ? "init" : "createSession", discover: flags.has("discover") }),
  ]);
  const required = needs.filter(isUsed);
  const optional = formatPermissionFlags(needs.filter((need) => !isUsed(need)));
  const later = formatPermissionFlags(needs.filter(({ need }) => need === "sign_in"));
  const unstable = isInKv(chosen.backend) ? "--unstable-kv " : "";
  const denoFlags = (unstable + formatPermissionFlags(required)).trimEnd();
  const set = formatPermissionSet(required);
  const json = {
    flags: denoFlags,
    optionalFlags: optional,
    ...JSON.parse(set),
    needs,
  };
  // --force: an installation with other flags is replaced.
  const line = isCli
    ? `deno install --global --no-config --force --name ${PROGRAM} ${denoFlags} ${SPECIFIER}`
    : `deno run ${denoFlags} script.ts`;
  const text = `${line.replace("  ", " ")}\n` +
    (later && `\nOnly to sign in or refresh:\n  ${later}\n`) +
    (optional && `\nOptional, and not set here:\n  ${optional}\n`) +
    `\nThe same as a permission set in deno.json, for deno run -P=validmind:\n${set}\n`;
  printResult(flags, json, text);
  return EXIT.ok;
}

/** Whether a need is used here: an optional variable if it is set, and the settings file if it is there. */
function isUsed(need: PermissionNeed) {
  if (need.need !== "optional") return true;
  if (need.name === "env") return readEnvIfGranted(need.variable!) !== undefined;
  if (need.name === "read") return isThere(`${need.path}`);
  return true;
}

function isThere(path: string) {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false; // or nobody can tell
  }
}
