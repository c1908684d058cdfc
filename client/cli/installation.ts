import { readEnvIfGranted } from "../../backends/common/environment.ts";
import { isInKv } from "../../backends/common/marks.ts";
import { isGranted } from "../../backends/common/permission.ts";
import { NAMES, type PermissionNeed } from "../format_permissions.ts";
import { requiredPermissions } from "../init.ts";
import { permissionFlags, UNREAD } from "../permissions/preflight.ts";
import { uniqueNeeds } from "../permissions/start_needs.ts";
import { PROGRAM, SPECIFIER } from "./command.ts";
import type { FlagValues } from "./flags.ts";
import { chooseBackend, fileNeeds, identityNeeds, sessionOptions } from "./sign_in_target.ts";

/** The command that installs this program with these flags of Deno, over an installation with others. */
export function installLine(denoFlags: string): string {
  return `deno install --global --force --no-config --name ${PROGRAM} ${denoFlags} ${SPECIFIER}`;
}

/** The permissions of a script, or of this program, by the settings in force; and the flags for them. */
export async function findNeeds(flags: FlagValues, kind: string, action: string) {
  const isCli = kind === "cli";
  const chosen = await chooseBackend(flags, action, identityNeeds(flags));
  const isGiven = isCli || flags.has("backend");
  const needs = uniqueNeeds([
    ...(isCli ? [...fileNeeds(flags), ...chosen.needs] : []),
    ...await requiredPermissions({
      ...sessionOptions(flags),
      credentialsBackend: isGiven ? chosen.backend : undefined,
    }, { call: kind === "init" ? "init" : "createSession", discover: flags.has("discover") }),
  ]);
  const unstable = isInKv(chosen.backend) ? "--unstable-kv " : "";
  return { needs, required: needs.filter(isUsed), unstable };
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
): Promise<string> {
  const denoFlags = await completeFlags(flags, missing, isKv);
  const shorter = denoFlags.endsWith("-A")
    ? ""
    : "\nor, shorter, with -A in place of all --allow-…";
  return `Install it with\n  ${installLine(denoFlags)}${shorter}`;
}

async function completeFlags(
  flags: FlagValues,
  missing: readonly Deno.PermissionDescriptor[],
  isKv: boolean,
): Promise<string> {
  const stores = (["backend", "from", "to"] as const).map((name) => flags.text(name));
  const [ofBackend, ...ofTwo] = stores;
  const isOfTwo = ofTwo.some((name) => name !== undefined);
  // Settings that may not be read name hosts, files and the store.
  const found = isOfTwo
    ? undefined
    : await findNeeds(flags, "cli", "name the permissions").catch(() => undefined);
  const unstable = isKv || stores.includes("kv") ? "--unstable-kv " : found?.unstable ?? "";
  const isUnknown = found === undefined && (isOfTwo || ofBackend !== undefined);
  if (isUnknown || NAMES.every((name) => isGranted({ name }))) return `${unstable}-A`;
  return unstable + permissionFlags([...found?.required ?? UNREAD, ...missing]);
}

/** Whether a need is used here: an optional variable if it is set, and the settings file if it is there. */
function isUsed(need: PermissionNeed): boolean {
  if (need.need !== "optional") return true;
  if (need.name === "env") return readEnvIfGranted(need.variable!) !== undefined;
  if (need.name !== "read" || !isGranted(need)) return true; // Deno would ask
  try {
    Deno.lstatSync(need.path!);
    return true;
  } catch {
    return false;
  }
}
