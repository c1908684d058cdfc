import { envNeeds, uniqueNeeds } from "../../permissions/start_needs.ts";
import { readEnvIfGranted } from "../../../backends/common/platform.ts";
import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import {
  checkDescriptor,
  formatPermissionFlags,
  formatPermissionSet,
} from "../../format_permissions.ts";
import type { PermissionNeed } from "../../permission_need.ts";
import { requiredPermissions } from "../../init.ts";
import { chooseBackend } from "../choose_backend.ts";
import {
  type Command,
  commandNeeds,
  EXIT,
  printResult,
  PROGRAM,
  simplePlan,
  SPECIFIER,
} from "../command.ts";
import type { FlagName, FlagValues } from "../flags.ts";
import { identityNeeds, sessionOptions, SIGN_IN_FLAGS } from "../sign_in_target.ts";
import { UsageError } from "../usage_error.ts";
import { SOURCE_FLAGS, TARGET_FLAGS } from "./migrate.ts";

const ACTION = "name the permissions";
const MIGRATION_FLAGS: readonly FlagName[] = ["from", "from-options", "to", "to-options"];
/** Flags of the scripts and commands whose permissions are named. */
const MEANT: readonly FlagName[] = [
  ...SIGN_IN_FLAGS,
  "redirect-uri",
  "listen",
  "open",
  "api-host",
  ...MIGRATION_FLAGS,
];

export function permissionsCommand(others: readonly Command[]): Command {
  return {
    name: "permissions",
    summary: "list the exact Deno flags that a script or a command needs",
    details: [
      "Reads the same options and variables as the script. Uses no network, unless " +
      "--discover is given. An optional variable is listed if it is set here. Run it with " +
      "--allow-env, or with -A.",
    ],
    flags: ["for", ...MEANT, "discover", "json"],
    examples: [
      "permissions --api-host https://api.example.com/v1/",
      "permissions --for token --backend kv",
      "permissions --for cli",
    ],
    action: ACTION,
    prepare: (flags) => simplePlan(() => needsToName(flags)),
    async run(_, invocation) {
      const kind = invocation.flags.text("for") ?? "script";
      const isScript = kind === "script" || kind === "init";
      const flags = isScript ? invocation.flags.withoutSettings() : invocation.flags;
      checkFlags(flags, kind, others);
      const needs = isScript ? await scriptNeeds(flags, kind) : await ownNeeds(flags, kind, others);
      const isWanted = (need: PermissionNeed) => need.need !== "optional" || isSet(need);
      const required = needs.filter(isWanted);
      const optional = permissionFlags(needs.filter((need) => !isWanted(need)));
      const later = permissionFlags(needs.filter(({ need }) => need === "sign_in"));
      const denoFlags = joined(
        await isKv(flags, kind) && "--unstable-kv",
        permissionFlags(required),
      );
      const set = formatPermissionSet(required);
      const json = {
        flags: denoFlags,
        optional_flags: optional,
        ...JSON.parse(set),
        needs: needs.map(toJson),
      };
      const { denial } = flags.settings;
      const text = `${commandLine(kind, denoFlags)}\n` +
        (later && `\nOnly to sign in or refresh:\n  ${later}\n`) +
        (optional && `\nOptional, and not set here:\n  ${optional}\n`) +
        (denial === undefined ? "" : `\n${denial}\n`) +
        `\nThe same as a permission set in deno.json, for deno run -P=validmind:\n${set}\n`;
      printResult(invocation, json, text);
      return EXIT.ok;
    },
  };
}

/** Enough for every `--for`, except with a backend of another module. */
async function needsToName(flags: FlagValues): Promise<PermissionNeed[]> {
  const variables: PermissionNeed[] = [
    ...envNeeds(sessionOptions(flags), "createSession"),
    { name: "env", variable: "VM_API_MODEL", reason: "to know the model", need: "optional" },
  ];
  await using chosen = await chooseBackend(flags, ACTION, variables);
  return [...variables, ...chosen.needs()];
}

function joined(...parts: readonly (string | false)[]): string {
  return parts.filter(Boolean).join(" ");
}

function commandLine(kind: string, flags: string): string {
  if (kind === "script" || kind === "init") return joined("deno run", flags, "script.ts");
  if (kind !== "cli") return joined("deno run", flags, SPECIFIER, kind);
  // --force: an installation with other flags is replaced.
  return joined(`deno install --global --force --name ${PROGRAM}`, flags, SPECIFIER);
}

/** Refuses a flag that would be ignored. */
function checkFlags(flags: FlagValues, kind: string, others: readonly Command[]): void {
  const command = others.find(({ name }) => name === kind);
  const isScript = kind === "script" || kind === "init";
  const wrong = MEANT.find((name) => {
    if (!flags.has(name)) return false;
    if (command !== undefined) return !command.flags.includes(name);
    return MIGRATION_FLAGS.includes(name) || isScript && name === "config";
  });
  if (wrong === undefined) return;
  throw new UsageError(
    `Cannot use --${wrong} with --for ${kind}, which does not use it. Leave it out.`,
  );
}

/** The needs of one command; with `cli` of all that people run every day. */
async function ownNeeds(
  flags: FlagValues,
  kind: string,
  others: readonly Command[],
): Promise<PermissionNeed[]> {
  const all: PermissionNeed[] = [];
  for (const command of others) {
    const isMeant = kind === "cli" ? command.name !== "migrate" : command.name === kind;
    if (isMeant) all.push(...await commandNeeds(command, flags, flags.has("discover")));
  }
  return uniqueNeeds(all);
}

async function scriptNeeds(flags: FlagValues, kind: string): Promise<PermissionNeed[]> {
  await using chosen = await chooseBackend(flags, ACTION, identityNeeds(flags));
  const backend = flags.has("backend") && { credentialsBackend: chosen.backend };
  const call = kind === "init" ? "init" : "createSession";
  const about = { call, discover: flags.has("discover") } as const;
  return await requiredPermissions({ ...sessionOptions(flags), ...backend }, about);
}

async function isKv(flags: FlagValues, kind: string): Promise<boolean> {
  for (const names of kind === "migrate" ? [SOURCE_FLAGS, TARGET_FLAGS] : [undefined]) {
    await using chosen = await chooseBackend(flags, ACTION, [], names);
    if (chosen.name === "kv") return true;
  }
  return false;
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

/** Deno's flags cannot hold a path with a comma, but a permission set can. */
function permissionFlags(needs: readonly PermissionNeed[]): string {
  try {
    return formatPermissionFlags(needs);
  } catch (error) {
    const isComma = error instanceof CredentialsBackendError &&
      error.code === "invalid_permissions";
    if (isComma) return "-P=validmind";
    throw error;
  }
}

function toJson(need: PermissionNeed) {
  const { name, scope } = checkDescriptor(need, "the command");
  return { name, ...(scope !== undefined && { scope }), need: need.need, reason: need.reason };
}
