import { hostNeeds } from "../../permissions/needs.ts";
import type { PermissionNeed } from "../../permission_need.ts";
import { backendNeeds, preflight, selectionNeeds } from "../../permissions/preflight.ts";
import type { Identity } from "../../options/identity.ts";
import { type ResolvedOptions, resolveOptions } from "../../options/resolve_options.ts";
import { VERSION } from "../../signed_in/session.ts";
import { checkApi } from "../doctor/check_api.ts";
import { checkProvider } from "../doctor/check_provider.ts";
import { checkBackend, checkFileModes, probeStore } from "../doctor/check_store.ts";
import { chooseBackend, type ChosenBackend } from "../choose_backend.ts";
import { columns } from "../columns.ts";
import { type Command, EXIT, type Invocation, PROGRAM } from "../command.ts";
import { failed, type Finding, ok, skipped, warning } from "../doctor/finding.ts";
import type { FlagValues } from "../flags.ts";
import { IDENTITY_FLAGS, identityOptions } from "../identity_options.ts";
import { readStatus, type SignInState } from "../read_status.ts";
import { identityNeeds, signInNeeds } from "../sign_in_needs.ts";

const ACTION = "examine the sign-in";

/** `doctor`: finds out why a sign-in does not work. */
export const doctor: Command = {
  name: "doctor",
  summary: "check settings, permissions, store, provider, clock and API",
  details: [
    "Each line is ok, warning or fail, with what to do; a fail makes the exit code 1. Nothing is",
    "changed: a test entry is written to the store under a key of its own, and removed (a store that",
    "is not there yet is made, empty). No token leaves the store.",
  ],
  flags: [
    ...IDENTITY_FLAGS,
    "dpop",
    "scope",
    "api-host",
    "backend",
    "backend-options",
    "json",
    "quiet",
  ],
  examples: ["doctor", "doctor --json | jq '.checks[] | select(.result == \"fail\")'"],
  needs: doctorNeeds,
  run: runDoctor,
};

/** What a sign-in needs, and the API's host. */
async function doctorNeeds(flags: FlagValues, discover?: boolean): Promise<PermissionNeed[]> {
  const needs = [...await signInNeeds(flags, discover), ...apiVariables(flags)];
  const { apiHost, ...resolved } = resolveOptions(sessionOptions(flags), "name the permissions");
  const withApi = apiHost === undefined ? [] : hostNeeds({ ...resolved, apiHost });
  return [...needs, ...withApi.filter(({ need }) => need === "always")];
}

function apiVariables(flags: FlagValues): PermissionNeed[] {
  if (flags.has("api-host")) return [];
  return ["VM_API_URL", "VM_API_HOST"].map((variable) => ({
    name: "env",
    variable,
    reason: "to find the API",
    need: "optional",
  }));
}

function sessionOptions(flags: FlagValues) {
  const apiHost = flags.text("api-host");
  return {
    ...identityOptions(flags),
    ...(apiHost !== undefined && { apiHost }),
    interactive: false,
  };
}

async function runDoctor({ flags, output }: Invocation): Promise<number> {
  const checks = await examine(flags);
  const isFailed = checks.some(({ result }) => result === "fail");
  const versions = { [PROGRAM]: VERSION, deno: Deno.version.deno };
  if (flags.has("json")) {
    output.print(`${JSON.stringify({ ok: !isFailed, versions, checks }, null, 2)}\n`);
  } else if (!flags.has("quiet")) {
    output.print(`${PROGRAM} ${VERSION}, deno ${Deno.version.deno}\n\n${findingsText(checks)}`);
  }
  return isFailed ? EXIT.failure : EXIT.ok;
}

function findingsText(checks: readonly Finding[]): string {
  const width = Math.max(...checks.map(({ check }) => check.length)) + "warning".length + 4;
  return checks.map(({ result, check, message, advice }) => {
    const [first = "", ...rest] = message.split("\n");
    const head = columns([[result.padEnd("warning".length), check.padEnd(width - 11), first]]);
    const more = [...rest, ...(advice === undefined ? [] : [`→ ${advice}`])];
    return head + more.map((line) => `${" ".repeat(width)}${line}\n`).join("");
  }).join("");
}

async function examine(flags: FlagValues): Promise<Finding[]> {
  try {
    await preflight(ACTION, variablesOf(flags), "always");
  } catch (error) {
    return [failed("permissions", error)]; // without variables nothing else can be told
  }
  const settings = findSettings(flags);
  const findings = [settings.finding];
  const { resolved } = settings;
  if (resolved?.identity.kind === "api_key") return [...findings, ...await checkApi(resolved)];
  await using chosen = await tryChoose(flags, findings);
  const isPermitted = await checkPermissions(flags, resolved, chosen, findings);
  if (chosen !== undefined) findings.push(...await examineStore(chosen, isPermitted));
  if (resolved?.identity.kind !== "oidc") return findings;
  const { identity, runtime } = resolved;
  findings.push(
    ...(isPermitted
      ? await checkProvider(identity, runtime)
      : [skipped("discovery", "permissions are missing")]),
    ...await checkApi(resolved),
  );
  if (chosen !== undefined && isPermitted) findings.push(await checkSignIn(identity, chosen));
  return findings;
}

/** The variables that say what is to be examined. */
function variablesOf(flags: FlagValues): PermissionNeed[] {
  return [...identityNeeds(flags), ...(flags.has("backend") ? [] : selectionNeeds())];
}

function findSettings(flags: FlagValues): { finding: Finding; resolved?: ResolvedOptions } {
  const check = "settings";
  try {
    const resolved = resolveOptions(sessionOptions(flags), ACTION);
    return { finding: ok(check, describe(resolved.identity)), resolved };
  } catch (error) {
    return { finding: failed(check, error) };
  }
}

function describe(identity: Identity): string {
  if (identity.kind === "api_key") return "an API key is set (VM_API_KEY), and nobody signs in";
  const { issuer, clientId, audience } = identity;
  return `client ${clientId} at ${issuer}${audience === undefined ? "" : ` for ${audience}`}`;
}

async function tryChoose(
  flags: FlagValues,
  findings: Finding[],
): Promise<ChosenBackend | undefined> {
  try {
    const chosen = await chooseBackend(flags, ACTION, identityNeeds(flags));
    findings.push(...checkBackend(chosen));
    return chosen;
  } catch (error) {
    findings.push(failed("backend", error));
    return undefined;
  }
}

/** Whether all is granted that a sign-in needs, which is told in one finding. */
async function checkPermissions(
  flags: FlagValues,
  resolved: ResolvedOptions | undefined,
  chosen: ChosenBackend | undefined,
  findings: Finding[],
): Promise<boolean> {
  const check = "permissions";
  try {
    const needs: PermissionNeed[] = [
      ...identityNeeds(flags),
      ...(resolved === undefined ? [] : hostNeeds(resolved)),
      ...(chosen === undefined ? [] : [...chosen.needs, ...backendNeeds(chosen.backend)]),
    ].map((need) => need.need === "sign_in" ? { ...need, need: "always" } : need);
    await preflight("sign in", needs, "always");
    findings.push(ok(check, "all that a sign-in needs is granted"));
    return true;
  } catch (error) {
    findings.push(failed(check, error));
    return false;
  }
}

async function examineStore({ backend }: ChosenBackend, isPermitted: boolean): Promise<Finding[]> {
  if (!isPermitted) return [skipped("store", "permissions are missing")];
  const modes = checkFileModes(backend);
  const areModesGood = modes.every(({ result }) => result === "ok" || result === "skipped");
  return [...modes, await probeStore(backend, areModesGood)];
}

const STATE_WORDS: Record<SignInState, [message: string, advice?: string]> = {
  valid: ["a valid token is stored"],
  refreshable: ["a token is stored that has ended, and will be refreshed at the next use"],
  api_key: ["an API key is set"],
  none: ["nobody is signed in", "Run login."],
  expired: ["the stored token has ended, and there is no refresh token", "Run login."],
  other_scope: ["the stored token was asked for a smaller scope", "Run login."],
};

async function checkSignIn(
  identity: Extract<Identity, { kind: "oidc" }>,
  { backend }: ChosenBackend,
): Promise<Finding> {
  const check = "sign-in";
  try {
    const { state, refreshable } = await readStatus(identity, backend, Date.now());
    const [message, advice] = STATE_WORDS[state];
    if (advice !== undefined) return warning(check, message, advice);
    if (refreshable !== false) return ok(check, message);
    return warning(
      check,
      `${message}, without a refresh token`,
      "Ask for the scope offline_access, or people sign in again when the token ends.",
    );
  } catch (error) {
    return failed(check, error);
  }
}
