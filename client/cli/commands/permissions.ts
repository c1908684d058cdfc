import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import { KvCredentialsBackend } from "../../../backends/kv.ts";
import { readEnvIfGranted } from "../../../backends/common/read_env.ts";
import { envNeeds, uniqueNeeds } from "../../permissions/needs.ts";
import type { InitOptions } from "../../session_options.ts";
import type { PermissionNeed } from "../../permission_need.ts";
import { requiredPermissions } from "../../required_permissions.ts";
import {
  checkDescriptor,
  formatPermissionFlags,
  formatPermissionSet,
} from "../../format_permissions.ts";
import { chooseBackend } from "../choose_backend.ts";
import { type Command, EXIT, type Invocation, PROGRAM, SPECIFIER } from "../command.ts";
import type { FlagName, FlagValues } from "../flags.ts";
import { IDENTITY_FLAGS, identityOptions } from "../identity_options.ts";
import { identityNeeds } from "../sign_in_needs.ts";
import { UsageError } from "../usage_error.ts";

const ACTION = "name the permissions";
const MIGRATION_FLAGS: readonly FlagName[] = ["from", "from-options", "to", "to-options"];
/** Only what calls the API has a use for them. */
const API_FLAGS: readonly FlagName[] = ["api-host"];

/** `permissions`: the exact flags, for a script or for this program. */
export function permissionsCommand(others: readonly Command[]): Command {
  return {
    name: "permissions",
    summary: "name the exact Deno flags that a script, or a command, needs",
    details: [
      "Reads the same options and variables as the script will, and touches no network, but with",
      "--discover. A variable that can be done without is named if it is set here. Run it with",
      "--allow-env, or with -A.",
    ],
    flags: [
      "for",
      ...IDENTITY_FLAGS,
      "dpop",
      "scope",
      "api-host",
      "backend",
      "backend-options",
      ...MIGRATION_FLAGS,
      "discover",
      "json",
    ],
    examples: [
      "permissions --api-host https://api.example.com/v1/",
      "permissions --for token --backend kv",
      "permissions --for cli",
    ],
    needs: permissionsNeeds,
    run: (invocation) => runPermissions(invocation, others),
  };
}

/** Enough for every `--for`, but with a backend of another module. */
async function permissionsNeeds(flags: FlagValues): Promise<PermissionNeed[]> {
  const variables: PermissionNeed[] = [
    ...envNeeds(identityOptions(flags), "createSession"),
    { name: "env", variable: "VM_API_MODEL", reason: "to know the model", need: "optional" },
  ];
  await using chosen = await chooseBackend(flags, ACTION, variables);
  return [...variables, ...chosen.needs];
}

interface Plan {
  readonly needs: readonly PermissionNeed[];
  /** The command line, around the flags. */
  readonly before: string;
  readonly after: string;
  readonly unstable: readonly string[];
}

async function runPermissions(
  { flags, output }: Invocation,
  others: readonly Command[],
): Promise<number> {
  const kind = flags.text("for") ?? "script";
  checkCombination(flags, kind);
  const plan = await makePlan(flags, kind, others);
  output.print(flags.has("json") ? jsonText(plan) : planText(plan));
  return EXIT.ok;
}

/** The plan's needs, taken apart, and as flags and a permission set. */
function render(plan: Plan) {
  const isWanted = (need: PermissionNeed) => need.need !== "optional" || isSet(need);
  const required = plan.needs.filter(isWanted);
  const optional = plan.needs.filter((need) => !isWanted(need));
  const text = { required: flagsOf(required, plan), optional: flagsOf(optional) };
  const set = formatPermissionSet(required);
  return { text, set };
}

function jsonText(plan: Plan): string {
  const { text, set } = render(plan);
  const answer = {
    flags: text.required,
    optional_flags: text.optional,
    ...JSON.parse(set),
    needs: plan.needs.map(toJson),
  };
  return `${JSON.stringify(answer, null, 2)}\n`;
}

function planText(plan: Plan): string {
  const { text, set } = render(plan);
  const line = [plan.before, text.required, plan.after].filter((part) => part !== "").join(" ");
  return `${line}\n${explanation(plan, text.optional)}\n` +
    `The same as a permission set in deno.json, for deno run -P=validmind:\n${set}\n`;
}

function checkCombination(flags: FlagValues, kind: string): void {
  const isScript = kind === "script" || kind === "init";
  const wrong = [
    ...(kind === "migrate" ? ["backend", "backend-options"] as const : MIGRATION_FLAGS),
    ...(isScript || kind === "doctor" || kind === "cli" ? [] : API_FLAGS),
  ].find((name) => flags.has(name));
  if (wrong === undefined) return;
  throw new UsageError(
    `Cannot use --${wrong} with --for ${kind}, which does not use it. Leave it out.`,
  );
}

async function makePlan(
  flags: FlagValues,
  kind: string,
  others: readonly Command[],
): Promise<Plan> {
  if (kind === "script" || kind === "init") {
    const { needs, unstable } = await scriptNeeds(flags, kind);
    return { needs, before: "deno run", after: "script.ts", unstable };
  }
  const unstable = await unstableFlags(flags, kind);
  if (kind === "cli") {
    const all = [];
    for (const command of others.filter(({ name }) => name !== "migrate")) {
      all.push(...await command.needs(flags, flags.has("discover")));
    }
    const before = `deno install --global --force --name ${PROGRAM}`; // over one with other flags
    return { needs: uniqueNeeds(all), before, after: SPECIFIER, unstable };
  }
  const command = others.find(({ name }) => name === kind)!;
  const needs = uniqueNeeds(await command.needs(flags, flags.has("discover")));
  return { needs, before: "deno run", after: `${SPECIFIER} ${kind}`, unstable };
}

async function scriptNeeds(flags: FlagValues, kind: "script" | "init") {
  await using chosen = await chooseBackend(flags, ACTION, identityNeeds(flags));
  const apiHost = flags.text("api-host");
  const options: InitOptions = {
    ...identityOptions(flags),
    ...(apiHost !== undefined && { apiHost }),
    ...(flags.has("backend") && { credentialsBackend: chosen.backend }),
  };
  const discover = flags.has("discover");
  const needs = await requiredPermissions(options, {
    call: kind === "init" ? "init" : "createSession",
    discover,
  });
  return { needs, unstable: kvFlags([chosen.backend]) };
}

async function unstableFlags(flags: FlagValues, kind: string): Promise<string[]> {
  if (kind !== "migrate") {
    await using chosen = await chooseBackend(flags, ACTION);
    return kvFlags([chosen.backend]);
  }
  await using from = await chooseBackend(flags, ACTION, [], {
    name: "from",
    options: "from-options",
  });
  await using to = await chooseBackend(flags, ACTION, [], { name: "to", options: "to-options" });
  return kvFlags([from.backend, to.backend]);
}

function kvFlags(used: readonly unknown[]): string[] {
  return used.some((backend) => backend instanceof KvCredentialsBackend) ? ["--unstable-kv"] : [];
}

/** Whether a variable that can be done without says something here. */
function isSet(need: PermissionNeed): boolean {
  return need.name === "env" && need.variable !== undefined &&
    readEnvIfGranted(need.variable) !== undefined;
}

function flagsOf(needs: readonly PermissionNeed[], plan?: Plan): string {
  return [...plan?.unstable ?? [], permissionFlags(needs)].filter((part) => part !== "").join(" ");
}

/** A path with a comma cannot stand in a flag: then the permission set is what is run with. */
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

function explanation({ needs }: Plan, optional: string): string {
  const later = needs.filter(({ need }) => need === "sign_in");
  return [
    ...(later.length === 0
      ? []
      : [`\nOf these only to sign in or refresh:\n  ${permissionFlags(later)}\n`]),
    ...(optional === "" ? [] : [`\nUsed where it is granted, and not set here:\n  ${optional}\n`]),
  ].join("");
}
