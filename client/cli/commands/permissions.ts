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
import {
  type Command,
  EXIT,
  type FlagName,
  type FlagValues,
  printResult,
  PROGRAM,
  SPECIFIER,
} from "../command.ts";
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
    if (kind !== "cli" && flags.has("config")) {
      throw usageError(
        `Cannot use --config with --for ${kind}: a script reads the usual one, or that of VM_AUTH_CONFIG.`,
      );
    }
    const { needs, isKv } = await needsOf(flags, kind);
    const isWanted = (need: PermissionNeed) => need.need !== "optional" || isSet(need);
    const required = needs.filter(isWanted);
    const optional = formatPermissionFlags(needs.filter((need) => !isWanted(need)));
    const later = formatPermissionFlags(needs.filter(({ need }) => need === "sign_in"));
    const denoFlags = joined(isKv && "--unstable-kv", formatPermissionFlags(required));
    const set = formatPermissionSet(required);
    const json = {
      flags: denoFlags,
      optional_flags: optional,
      ...JSON.parse(set),
      needs: needs.map(toJson),
    };
    const text = `${commandLine(kind, denoFlags)}\n` +
      (later && `\nOnly to sign in or refresh:\n  ${later}\n`) +
      (optional && `\nOptional, and not set here:\n  ${optional}\n`) +
      `\nThe same as a permission set in deno.json, for deno run -P=validmind:\n${set}\n`;
    printResult(invocation, json, text);
    return EXIT.ok;
  },
};

function joined(...parts: readonly (string | false)[]): string {
  return parts.filter(Boolean).join(" ");
}

function commandLine(kind: string, flags: string): string {
  if (kind !== "cli") return joined("deno run", flags, "script.ts");
  // --force: an installation with other flags is replaced.
  return joined(`deno install --global --no-config --force --name ${PROGRAM}`, flags, SPECIFIER);
}

async function needsOf(
  flags: FlagValues,
  kind: string,
): Promise<{ needs: PermissionNeed[]; isKv: boolean }> {
  const { action } = permissions;
  const chosen = await chooseBackend(flags, action, identityNeeds(flags));
  const isGiven = kind === "cli" || flags.has("backend");
  const options = {
    ...sessionOptions(flags),
    ...(isGiven && { credentialsBackend: chosen.backend }),
  };
  const about = {
    call: kind === "init" ? "init" : "createSession",
    discover: flags.has("discover"),
  } as const;
  const needs = await requiredPermissions(options, about);
  const own = kind === "cli" ? [...fileNeeds(flags), ...chosen.needs] : [];
  return {
    needs: uniqueNeeds([...own, ...needs]),
    isKv: chosen.backend instanceof KvCredentialsBackend,
  };
}

/**
 * Whether an optional need is used here: a variable that is set, the browser of --open, or the settings
 * file, which may be written later.
 */
function isSet(need: PermissionNeed): boolean {
  return ["run", "read", "sys"].includes(need.name) ||
    need.name === "env" && need.variable !== undefined &&
      readEnvIfGranted(need.variable) !== undefined;
}

function toJson(need: PermissionNeed) {
  const { name, scope } = checkDescriptor(need, "the command");
  return { name, ...(scope !== undefined && { scope }), need: need.need, reason: need.reason };
}
