import { formatPermissionSet } from "../../format_permissions.ts";
import { permissionFlags } from "../../permissions/preflight.ts";
import type { CommandCall } from "../command.ts";
import { findNeeds, installLine } from "../installation.ts";
import { printResult } from "../output.ts";

export async function run({ flags, command }: CommandCall) {
  const kind = flags.text("for") ?? "script";
  const { needs, required, unstable } = await findNeeds(flags, kind, command.action);
  const denoFlags = (unstable + permissionFlags(required)).trimEnd();
  const line = kind === "cli" ? installLine(denoFlags) : `deno run ${denoFlags} script.ts`;
  const set = JSON.parse(formatPermissionSet(required));
  printResult(flags, { flags: denoFlags, ...set, needs }, `${line.replace("  ", " ")}\n`);
}
