import { readEnvIfGranted } from "../../../backends/common/platform.ts";
import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import { KvCredentialsBackend } from "../../../backends/kv.ts";
import {
  checkDescriptor,
  formatPermissionFlags,
  formatPermissionSet,
} from "../../format_permissions.ts";
import type { PermissionNeed } from "../../permission_need.ts";
import { envNeeds, uniqueNeeds } from "../../permissions/needs.ts";
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

export function permissionsCommand(others: readonly Command[]): Command {
  return {
    name: "permissions",
    summary: "list the exact Deno flags that a script or a command needs",
    details: [
      "Reads the same options and variables as the script. Uses no network, unless " +
      "--discover is given. An optional variable is listed if it is set here. Run it with " +
      "--allow-env, or with -A.",
    ],
    flags: [
      "for",
      ...SIGN_IN_FLAGS,
      "redirect-uri",
      "listen",
      "open",
      "api-host",
      ...MIGRATION_FLAGS,
      "discover",
      "json",
    ],
    examples: [
      "permissions --api-host https://api.example.com/v1/",
      "permissions --for token --backend kv",
      "permissions --for cli",
    ],
    action: ACTION,
    prepare: (flags) => simplePlan(() => ownNeeds(flags)),
    async run(_, invocation) {
      const kind = invocation.flags.text("for") ?? "script";
      const isScript = kind === "script" || kind === "init";
      const flags = isScript ? invocation.flags.withoutSettings() : invocation.flags;
      checkCombination(flags, kind);
      const answer = await answerFor(flags, kind, others);
      const isWanted = (need: PermissionNeed) => need.need !== "optional" || isSet(need);
      const required = answer.needs.filter(isWanted);
      const optional = permissionFlags(answer.needs.filter((need) => !isWanted(need)));
      const denoFlags = joined([...answer.unstable, permissionFlags(required)]);
      const set = formatPermissionSet(required);
      const json = {
        flags: denoFlags,
        optional_flags: optional,
        ...JSON.parse(set),
        needs: answer.needs.map(toJson),
      };
      const line = joined([answer.before, denoFlags, answer.after]);
      const { denial } = flags.settings;
      const unread = denial === undefined ? "" : `\n${denial}\n`;
      const text = `${line}\n${explanation(answer, optional)}${unread}\n` +
        `The same as a permission set in deno.json, for deno run -P=validmind:\n${set}\n`;
      printResult(invocation, json, text);
      return EXIT.ok;
    },
  };
}

/** Enough for every `--for`, except with a backend of another module. */
async function ownNeeds(flags: FlagValues): Promise<PermissionNeed[]> {
  const variables: PermissionNeed[] = [
    ...envNeeds(sessionOptions(flags), "createSession"),
    { name: "env", variable: "VM_API_MODEL", reason: "to know the model", need: "optional" },
  ];
  await using chosen = await chooseBackend(flags, ACTION, variables);
  return [...variables, ...chosen.needs()];
}

interface Answer {
  readonly needs: readonly PermissionNeed[];
  /** The command line, around the flags. */
  readonly before: string;
  readonly after: string;
  readonly unstable: readonly string[];
}

function joined(parts: readonly string[]): string {
  return parts.filter((part) => part !== "").join(" ");
}

function checkCombination(flags: FlagValues, kind: string): void {
  const isScript = kind === "script" || kind === "init";
  const wrong = [
    ...(kind === "migrate" ? ["backend", "backend-options"] as const : MIGRATION_FLAGS),
    ...(isScript || kind === "doctor" || kind === "cli" ? [] : ["api-host"] as const),
    ...(isScript ? ["config"] as const : []),
    ...(isScript || kind === "login" || kind === "cli" ? [] : ["open"] as const),
  ].find((name) => flags.has(name));
  if (wrong === undefined) return;
  throw new UsageError(
    `Cannot use --${wrong} with --for ${kind}, which does not use it. Leave it out.`,
  );
}

/** Commands whose permissions nobody needs every day: of a second store, and of Jupyter's folder. */
const APART: readonly string[] = ["migrate"];

async function answerFor(
  flags: FlagValues,
  kind: string,
  others: readonly Command[],
): Promise<Answer> {
  const base = { before: "deno run", unstable: await unstableFlags(flags, kind) };
  if (kind === "script" || kind === "init") {
    return { ...base, needs: await scriptNeeds(flags, kind), after: "script.ts" };
  }
  const isMeant = ({ name }: Command) => kind === "cli" ? !APART.includes(name) : name === kind;
  const all = [];
  for (const command of others.filter(isMeant)) {
    all.push(...await commandNeeds(command, flags, flags.has("discover")));
  }
  const needs = uniqueNeeds(all);
  if (kind !== "cli") return { ...base, needs, after: `${SPECIFIER} ${kind}` };
  // --force: an installation with other flags is replaced.
  const before = `deno install --global --force --name ${PROGRAM}`;
  return { ...base, needs, before, after: SPECIFIER };
}

async function scriptNeeds(flags: FlagValues, kind: string): Promise<PermissionNeed[]> {
  await using chosen = await chooseBackend(flags, ACTION, identityNeeds(flags));
  const backend = flags.has("backend") && { credentialsBackend: chosen.backend };
  const call = kind === "init" ? "init" : "createSession";
  const about = { call, discover: flags.has("discover") } as const;
  return await requiredPermissions({ ...sessionOptions(flags), ...backend }, about);
}

async function unstableFlags(flags: FlagValues, kind: string): Promise<string[]> {
  const pairs = kind === "migrate" ? [SOURCE_FLAGS, TARGET_FLAGS] : [undefined];
  for (const names of pairs) {
    await using chosen = await chooseBackend(flags, ACTION, [], names);
    if (chosen.backend instanceof KvCredentialsBackend) return ["--unstable-kv"];
  }
  return [];
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

function explanation({ needs }: Answer, optional: string): string {
  const later = needs.filter(({ need }) => need === "sign_in");
  return [
    ...(later.length === 0 ? [] : [`\nOnly to sign in or refresh:\n  ${permissionFlags(later)}\n`]),
    ...(optional === "" ? [] : [`\nOptional, and not set here:\n  ${optional}\n`]),
  ].join("");
}
