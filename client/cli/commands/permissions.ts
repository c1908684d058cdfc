import { isGranted } from "../../../backends/common/permission.ts";
import { formatPermissionSet, NAMES } from "../../format_permissions.ts";
import { requiredPermissions } from "../../init.ts";
import {
  commandsFor,
  isUsed,
  permissionFlags,
  UNREAD,
  unstableFlag,
} from "../../permissions/preflight.ts";
import { uniqueNeeds } from "../../permissions/start_needs.ts";
import { type CommandCall, PROGRAM } from "../command.ts";
import type { FlagValues } from "../flags.ts";
import { printResult } from "../output.ts";
import { chooseStore, fileNeeds, identityNeeds, sessionOptions } from "../sign_in_target.ts";

export async function run({ flags, command }: CommandCall) {
  const kind = flags.text("for") ?? "script";
  const { needs, required, unstable } = await findNeeds(flags, kind, command.action);
  const denoFlags = (unstable + permissionFlags(required)).trimEnd();
  const line = kind === "cli" ? installLine(denoFlags) : `deno run ${denoFlags} script.ts`;
  const set = JSON.parse(formatPermissionSet(required));
  printResult(flags, { flags: denoFlags, ...set, needs }, `${line.replace("  ", " ")}\n`);
}

/** The command that installs this program with these flags of Deno, over an installation with others. */
function installLine(denoFlags: string) {
  const install = `deno install --global --force --no-config --name ${PROGRAM}`;
  return `${install} ${denoFlags} jsr:@validmind/auth/cli`;
}

/** The permissions of a script, or of this program, by the settings in force; and the flags for them. */
async function findNeeds(flags: FlagValues, kind: string, action: string) {
  const isCli = kind === "cli";
  const chosen = await chooseStore(flags, action, identityNeeds(flags));
  const isGiven = isCli || flags.has("backend");
  const needs = uniqueNeeds([
    ...(isCli ? [...fileNeeds(flags), ...chosen.needs] : []),
    ...await requiredPermissions({
      ...sessionOptions(flags),
      credentialsBackend: isGiven ? chosen.backend : undefined,
    }, { call: kind === "init" ? "init" : "createSession", discover: flags.has("discover") }),
  ]);
  const required = needs.filter((need) => isUsed(need, need.name !== "env"));
  return { needs, required, unstable: unstableFlag(chosen.backend) };
}

/**
 * The installation with which each command works, for an error about permissions.
 *
 * @param missing The permissions that the error names.
 * @param isKv Whether the error is about Deno KV.
 */
export async function installAdvice(
  flags: FlagValues,
  missing: readonly Deno.PermissionDescriptor[],
  isKv: boolean,
) {
  // Settings that may not be read name hosts, files and the store.
  const found = await findNeeds(flags, "cli", "name the permissions").catch(() => undefined);
  const names = (["backend", "from", "to"] as const).map((flag) => flags.text(flag));
  const isKvNamed = isKv || names.includes("kv");
  const unstable = isKvNamed ? "--unstable-kv " : found?.unstable ?? "";
  const isMigration = flags.has("from") || flags.has("to");
  const isUnknown = isMigration || flags.has("backend") && found === undefined;
  const isAll = isUnknown || NAMES.every((name) => isGranted({ name }));
  const denoFlags = isAll ? "-A" : permissionFlags([...found?.required ?? UNREAD, ...missing]);
  return commandsFor(
    "Install it with these flags, in place of earlier ones:",
    installLine,
    denoFlags,
    unstable,
  );
}
