import type { Identity, OidcIdentity } from "../../options/identity.ts";
import { type ResolvedOptions, resolveOptions } from "../../options/resolve_options.ts";
import type { PermissionNeed } from "../../permission_need.ts";
import { hostNeeds } from "../../permissions/needs.ts";
import {
  addOpen,
  apiNeeds,
  backendNeeds,
  preflight,
  selectionNeeds,
} from "../../permissions/preflight.ts";
import { VERSION } from "../../signed_in/session.ts";
import { chooseBackend, type ChosenBackend } from "../choose_backend.ts";
import { columns } from "../columns.ts";
import {
  type Command,
  EXIT,
  type Invocation,
  printResult,
  PROGRAM,
  simplePlan,
} from "../command.ts";
import { checkApi } from "../doctor/check_api.ts";
import { checkProvider } from "../doctor/check_provider.ts";
import { checkBackend, checkFileModes, probeStore } from "../doctor/check_store.ts";
import { failedBy, type Finding, ok, skipped, warning } from "../doctor/finding.ts";
import type { FlagValues } from "../flags.ts";
import { readStatus, type SignInState } from "../read_status.ts";
import {
  findSignInTarget,
  IDENTITY_FLAGS,
  identityNeeds,
  sessionOptions,
} from "../sign_in_target.ts";

const ACTION = "examine the sign-in";

/** `doctor`: finds the reason why a sign-in does not work. */
export const doctor: Command = {
  name: "doctor",
  summary: "check settings, permissions, store, provider, clock and API",
  details: [
    "Each line is ok, warning or fail, with the remedy; a fail makes the exit code 1. Nothing is",
    "changed: a test entry is written to the store under its own key, and removed (a missing store is",
    "created, empty). No token leaves the store.",
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
  action: ACTION,
  prepare: (flags, action) => simplePlan((discover) => doctorNeeds(flags, action, discover)),
  run: (_, invocation) => runDoctor(invocation),
};

/** Needs of a sign-in, and the API's host. */
async function doctorNeeds(
  flags: FlagValues,
  action: string,
  discover?: boolean,
): Promise<PermissionNeed[]> {
  await using target = await findSignInTarget(flags, action);
  const apiHost = apiNeeds(resolveOptions(sessionOptions(flags), action));
  const needs = [...await target.needs(discover), ...apiHost];
  const host = flags.text("api-host");
  addOpen(needs, "optional", "to find the API", { VM_API_URL: host, VM_API_HOST: host });
  return needs;
}

async function runDoctor(invocation: Invocation): Promise<number> {
  const checks = await examine(invocation.flags);
  const isFailed = checks.some(({ result }) => result === "fail");
  const versions = { [PROGRAM]: VERSION, deno: Deno.version.deno };
  const text = `${PROGRAM} ${VERSION}, deno ${Deno.version.deno}\n\n${findingsText(checks)}`;
  printResult(invocation, { ok: !isFailed, versions, checks }, text);
  return isFailed ? EXIT.failure : EXIT.ok;
}

function findingsText(checks: readonly Finding[]): string {
  return columns(checks.flatMap(({ result, check, message, advice }) => {
    const [first = "", ...rest] = message.split("\n");
    const more = [...rest, ...(advice === undefined ? [] : [`→ ${advice}`])];
    return [[result, check, first], ...more.map((line) => ["", "", line])];
  }));
}

async function examine(flags: FlagValues): Promise<Finding[]> {
  try {
    await preflight(ACTION, variablesOf(flags), "always");
  } catch (error) {
    return [failedBy("permissions", error)]; // nothing else can be checked without the variables
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

/** Variables that name the sign-in and its backend. */
function variablesOf(flags: FlagValues): PermissionNeed[] {
  return [...identityNeeds(flags), ...(flags.has("backend") ? [] : selectionNeeds())];
}

function findSettings(flags: FlagValues): { finding: Finding; resolved?: ResolvedOptions } {
  const check = "settings";
  try {
    const resolved = resolveOptions({ ...sessionOptions(flags), interactive: false }, ACTION);
    return { finding: ok(check, describeIdentity(resolved.identity)), resolved };
  } catch (error) {
    return { finding: failedBy(check, error) };
  }
}

function describeIdentity(identity: Identity): string {
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
    findings.push(failedBy("backend", error));
    return undefined;
  }
}

/** Checks all permissions of a sign-in, and adds one finding. */
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
      ...(chosen === undefined ? [] : [...chosen.needs(), ...backendNeeds(chosen.backend)]),
    ].map((need) => need.need === "sign_in" ? { ...need, need: "always" } : need);
    await preflight("sign in", needs, "always");
    findings.push(ok(check, "all permissions of a sign-in are granted"));
    return true;
  } catch (error) {
    findings.push(failedBy(check, error));
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
  refreshable: ["the stored token has ended, and will be refreshed at the next use"],
  api_key: ["an API key is set"],
  none: ["nobody is signed in", "Run login."],
  expired: ["the stored token has ended, and there is no refresh token", "Run login."],
  other_scope: ["the stored token has a smaller scope", "Run login."],
};

async function checkSignIn(
  identity: OidcIdentity,
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
      "Ask for the scope offline_access; otherwise people sign in again when the token ends.",
    );
  } catch (error) {
    return failedBy(check, error);
  }
}
