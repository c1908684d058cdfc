import { formatPermissionSet } from "../../format_permissions.ts";
import { permissionFlags } from "../../permissions/preflight.ts";
import type { CommandCall } from "../command.ts";
import { findNeeds, installLine } from "../installation.ts";
import { printResult } from "../output.ts";

export async function run({ flags, command }: CommandCall): Promise<void> {
  const kind = flags.text("for") ?? "script";
  const isCli = kind === "cli";
  const { needs, required, unstable } = await findNeeds(flags, kind, command.action);
  const optional = permissionFlags(needs.filter((need) => !required.includes(need)));
  const denoFlags = (unstable + permissionFlags(required)).trimEnd();
  const set = JSON.parse(formatPermissionSet(required));
  const json = { flags: denoFlags, optionalFlags: optional, ...set, needs };
  const line = isCli ? installLine(denoFlags) : `deno run ${denoFlags} script.ts`;
  const text = `${line.replace("  ", " ")}\n` +
    (optional && `\nOptional, and not set here:\n  ${optional}\n`);
  printResult(flags, json, text);
}
