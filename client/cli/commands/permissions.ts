import { readEnvIfGranted } from "../../../backends/common/platform.ts";
import { KvCredentialsBackend } from "../../../backends/kv.ts";
import {
  checkDescriptor,
  formatPermissionFlags,
  formatPermissionSet,
  type PermissionNeed,
} from "../../format_permissions.ts";
import { requiredPermissions } from "../../init.ts";
import { uniqueNeeds } from "../../permissions/start_needs.ts";
import { type Command, EXIT, type FlagName, printResult, PROGRAM, SPECIFIER } from "../command.ts";
import { usageError } from "../output.ts";
import {
  chooseBackend,
  fileNeeds,
  identityNeeds,
  sessionOptions,
  SIGN_IN_FLAGS,
} from "../sign_in_target.ts";

const SIGN_IN: readonly FlagName[] = [
  ...SIGN_IN_FLAGS,
  "redirect-uri",
  "listen",
  "open",
  "api-host",
];

export const permissions: Command = {
  name: "permissions",
  summary: "list the exact Deno flags that a script or this program needs",
  details: [
    "Reads the same options and variables as the script. Uses no network, unless " +
    "--discover is given. An optional variable is listed if it is set here. Run it with " +
    "--allow-env, or with -A.",
  ],
  flags: ["for", ...SIGN_IN, "discover", "json"],
  examples: [
    "permissions --api-host https://api.example.com/v1/",
    "permissions --for cli",
    "permissions --for cli --backend kv --backend-options kv.json",
  ],
  action: "name the permissions",
  async run(invocation) {
    const { flags } = invocation;
    const kind = flags.text("for") ?? "script";
    const isCli = kind === "cli";
    if (!isCli && flags.has("config")) {
      throw usageError(
        `Cannot use --config with --for ${kind}: a script reads the usual one, or that of VM_AUTH_CONFIG.`,
      );
    }
    const chosen = await chooseBackend(flags, permissions.action, identityNeeds(flags));
    const isGiven = isCli || flags.has("backend");
    const needs = uniqueNeeds([
      ...(isCli ? [...fileNeeds(flags), ...chosen.needs] : []),
      ...await requiredPermissions({
        ...sessionOptions(flags),
        ...(isGiven && { credentialsBackend: chosen.backend }),
      }, { call: kind === "init" ? "init" : "createSession", discover: flags.has("discover") }),
    ]);
    const required = needs.filter(isUsed);
    const optional = formatPermissionFlags(needs.filter((need) => !isUsed(need)));
    const later = formatPermissionFlags(needs.filter(({ need }) => need === "sign_in"));
    const unstable = chosen.backend instanceof KvCredentialsBackend ? "--unstable-kv " : "";
    const denoFlags = (unstable + formatPermissionFlags(required)).trimEnd();
    const set = formatPermissionSet(required);
    const json = {
      flags: denoFlags,
      optionalFlags: optional,
      ...JSON.parse(set),
      needs: needs.map(toJson),
    };
    // --force: an installation with other flags is replaced.
    const line = isCli
      ? `deno install --global --no-config --force --name ${PROGRAM} ${denoFlags} ${SPECIFIER}`
      : `deno run ${denoFlags} script.ts`;
    const text = `${line.replace("  ", " ")}\n` +
      (later && `\nOnly to sign in or refresh:\n  ${later}\n`) +
      (optional && `\nOptional, and not set here:\n  ${optional}\n`) +
      `\nThe same as a permission set in deno.json, for deno run -P=validmind:\n${set}\n`;
    printResult(invocation, json, text);
    return EXIT.ok;
  },
};

/**
 * Whether a need is used here: an optional variable if it is set, and the browser of --open or the
 * settings file, which may be written later.
 */
function isUsed(need: PermissionNeed): boolean {
  return need.need !== "optional" || need.name !== "env" ||
    readEnvIfGranted(need.variable!) !== undefined;
}

function toJson(need: PermissionNeed) {
  const { name, scope } = checkDescriptor(need, "the command");
  return { name, ...(scope !== undefined && { scope }), need: need.need, reason: need.reason };
}
