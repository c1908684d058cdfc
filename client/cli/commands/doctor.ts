import { describeBackend } from "../../../backends/common/describe_backend.ts";
import { prepare } from "../../create_session.ts";
import { credentialKey } from "../../credential_key.ts";
import { asksNobody } from "../../entry/bearer_kind.ts";
import { preflight } from "../../permissions/preflight.ts";
import { VERSION } from "../../signed_in/session.ts";
import { CredentialStore } from "../../tokens/store.ts";
import { readBearer } from "../bearer.ts";
import { EXIT } from "../cli_error.ts";
import type { CommandCall } from "../command.ts";
import { checkApi } from "../doctor/api_check.ts";
import { type Answer, Findings, notTried, ok, warning } from "../doctor/findings.ts";
import { type PreparedCall, Trial } from "../doctor/trial.ts";
import { SIGN_IN_FLAGS } from "../flag_groups.ts";
import type { FlagValues } from "../flags.ts";
import { printResult } from "../output.ts";
import { PROGRAM } from "../program.ts";
import { valueFlags } from "../report_error.ts";
import { settingsOf } from "../settings_in_force.ts";
import {
  assertPersistent,
  findTarget,
  sessionOptions,
  type SignInTarget,
} from "../sign_in_target.ts";
import { readStatus, type StatusReport, tokenText } from "../status_report.ts";

export async function run({ flags, command }: CommandCall): Promise<number> {
  const findings = new Findings(flags);
  await examine(findings, flags, command.action);
  const { isFailed, all } = findings;
  const versions = { [PROGRAM]: VERSION, deno: Deno.version.deno };
  const text = `${PROGRAM} ${VERSION}, deno ${versions.deno}\n\n${findings.text}`;
  printResult(flags, { ok: !isFailed, versions, checks: all }, text);
  return isFailed ? EXIT.failure : EXIT.ok;
}

/** Runs all checks. One that fails does not stop the others that can go on without it. */
async function examine(findings: Findings, flags: FlagValues, action: string): Promise<void> {
  const set = await findings.examine("settings", () => checkSettings(flags, action));
  if (set === undefined) return;
  const { target, call } = set;
  const isPermitted = await findings.examine("permissions", () => checkPermissions(call, action));
  if (isPermitted === undefined) return;
  if (target !== undefined) return await examineSignIn(findings, flags, call, target);
  if (call.resolved.apiHost === undefined) return;
  await findings.examine("api", () => checkApi(flags, call, undefined, true));
}

/** The checks of a sign-in at a provider. */
async function examineSignIn(
  findings: Findings,
  flags: FlagValues,
  call: PreparedCall,
  target: SignInTarget,
): Promise<void> {
  await findings.examine("store", () => checkStore(target));
  const trial = await Trial.open(call, target.identity);
  await trial.examine(findings);
  const stored = await findings.examine("sign-in", () => checkSignIn(target, flags));
  if (stored === undefined) return;
  const { refreshable, state } = stored.report;
  if (refreshable) await findings.examine("refresh", () => checkRefresh(flags));
  if (call.resolved.apiHost === undefined) return;
  // A job would send its assertion where the API refuses the stored token.
  const mayRenew = asksNobody(target.identity.flow) && trial.hasAssertion;
  const hasToken = state === "valid" && !mayRenew;
  await findings.examine("api", () => checkApi(flags, call, target, hasToken));
}

/** The sign-in that the settings name, and their sources. */
async function checkSettings(flags: FlagValues, action: string) {
  const target = await findTarget(flags, action);
  const options = { ...sessionOptions(flags), credentialsBackend: target?.backend };
  const call = await prepare(options, "createSession", action);
  const settings = settingsOf(flags);
  const sources = settings.rows.map(({ name, source }) => `${name} from ${source}`);
  const message = [subjectOf(target), ...sources].join("\n");
  const { denial } = settings;
  const answer = denial === undefined ? ok(message) : warning(message, denial);
  return { ...answer, target, call };
}

function subjectOf(target: SignInTarget | undefined): string {
  if (target === undefined) return "an API key is set (VM_API_KEY), and nobody signs in";
  const { issuer, clientId, audience } = target.identity;
  const words = `client ${clientId} at ${issuer}`;
  if (audience === undefined) return words;
  return `${words} for ${audience}`;
}

async function checkPermissions(call: PreparedCall, action: string): Promise<Answer> {
  const needs = [...call.needs(), ...await call.ofBrowser()];
  for (const when of ["always", "sign_in"] as const) preflight(action, needs, when);
  return ok("all permissions of a sign-in are granted");
}

/** The store, written and read under its lock. */
async function checkStore({ backend, identity }: SignInTarget): Promise<Answer> {
  assertPersistent(backend, "sign in");
  const key = credentialKey(identity.issuer, identity.clientId, identity.audience, identity);
  const store = new CredentialStore(backend, key);
  await store.withLock(() => store.probe());
  return ok(`a test entry was written to ${describeBackend(backend)}, read and removed`);
}

/** The state of the stored sign-in. */
async function checkSignIn(target: SignInTarget, flags: FlagValues) {
  const report = await readStatus(target);
  return { ...stateOf(report, flags), report };
}

function stateOf(report: StatusReport, flags: FlagValues): Answer {
  const { flow, state, signedIn, refreshable } = report;
  if (flow !== undefined && state !== "valid") {
    return ok("no valid token is stored; the next use gets one and asks nobody");
  }
  const words = state === "none" ? "nobody is signed in" : `token ${tokenText(report)}`;
  if (!signedIn) return warning(words, `Run: ${PROGRAM} login${valueFlags(flags, SIGN_IN_FLAGS)}`);
  if (refreshable || flow !== undefined) return ok(words);
  const cure = "Ask for the scope offline_access, and have it allowed for this client";
  return warning(words, `The provider gave no refresh token. ${cure}.`);
}

/** The stored refresh token, which its first use spends at many providers. */
async function checkRefresh(flags: FlagValues): Promise<Answer> {
  if (!flags.has("refresh")) {
    const again = `Run: ${PROGRAM} doctor --refresh${valueFlags(flags, SIGN_IN_FLAGS)}`;
    return notTried("the refresh token stays where it is", again);
  }
  await readBearer(flags, "get a token");
  return ok("the provider gave a new token, which is stored");
}
