import { describeBackend } from "../../../backends/common/describe_backend.ts";
import { requiredPermissions } from "../../init.ts";
import { preflight } from "../../permissions/preflight.ts";
import { VERSION } from "../../signed_in/session.ts";
import { CredentialStore } from "../../tokens/store.ts";
import { type CommandCall, EXIT, PROGRAM } from "../command.ts";
import { type FlagValues, SIGN_IN_FLAGS } from "../flags.ts";
import { columns, printResult } from "../output.ts";
import { denoFlagsHint, describeError, valueFlags } from "../report_error.ts";
import { findTarget, sessionOptions, settingsOf, type SignInTarget } from "../sign_in_target.ts";
import { readStatus, tokenText } from "./status.ts";

export async function run({ flags, command }: CommandCall): Promise<number> {
  const checks = await examine(flags, command.action);
  const isFailed = checks.some(({ result }) => result === "fail");
  const versions = { [PROGRAM]: VERSION, deno: Deno.version.deno };
  const text = `${PROGRAM} ${VERSION}, deno ${versions.deno}\n\n${findingsText(checks)}`;
  printResult(flags, { ok: !isFailed, versions, checks }, text);
  return isFailed ? EXIT.failure : EXIT.ok;
}

/** The result of one check. Holds no secret. */
interface Finding {
  readonly check: string;
  readonly result: "ok" | "warning" | "fail";
  readonly message: string;
  /** The remedy, if one is needed. */
  readonly advice: string | undefined;
}

/** The message of a check, and the remedy of a warning. */
type Answer = readonly [message: string, advice?: string];

function findingsText(checks: readonly Finding[]): string {
  return columns(checks.flatMap(({ result, check, message, advice }) => {
    const [first = "", ...rest] = message.split("\n");
    const more = [...rest, ...(advice === undefined ? [] : [`→ ${advice}`])];
    return [[result, check, first], ...more.map((line) => ["", "", line])];
  }));
}

/** Runs all checks. One that fails does not stop the others that can go on without it. */
async function examine(flags: FlagValues, action: string): Promise<Finding[]> {
  const findings: Finding[] = [];
  const examineOne = async (check: string, step: () => Promise<Answer>): Promise<boolean> => {
    try {
      const [message, advice] = await step();
      findings.push({ check, result: advice === undefined ? "ok" : "warning", message, advice });
      return true;
    } catch (error) {
      const { code, message } = describeError(error, flags);
      const advice = denoFlagsHint(code, flags);
      const isTold = findings.some((one) => one.message === message);
      if (!isTold) findings.push({ check, result: "fail", message, advice });
      return false;
    }
  };
  let target: SignInTarget | undefined;
  const isSet = await examineOne("settings", async () => {
    target = await findTarget(flags, action);
    return await checkSettings(target, flags, action);
  });
  if (!isSet) return findings;
  const session = { ...sessionOptions(flags), credentialsBackend: target?.backend };
  const checkNeeds = async (discover: boolean) => {
    const needs = await requiredPermissions(session, { call: "createSession", discover });
    for (const when of ["always", "sign_in"] as const) preflight(action, needs, when);
  };
  const isPermitted = await examineOne("permissions", async () => {
    await checkNeeds(false);
    return ["all permissions of a sign-in are granted"];
  });
  if (!isPermitted || target === undefined) return findings;
  const { identity, backend } = target;
  await examineOne("store", async () => {
    await new CredentialStore(backend, "").probe();
    return [`a test entry was written to ${describeBackend(backend)}, read and removed`];
  });
  await examineOne("provider", async () => {
    await checkNeeds(true);
    return [`${identity.issuer} answers correctly`];
  });
  await examineOne("sign-in", () => checkSignIn(target!, flags));
  return findings;
}

/** The sign-in that the settings name, and their sources. */
async function checkSettings(
  target: SignInTarget | undefined,
  flags: FlagValues,
  action: string,
): Promise<Answer> {
  const { rows, denial } = await settingsOf(flags, action);
  const sources = rows.map(({ name, source }) => `${name} from ${source}`);
  const { issuer, clientId, audience } = target?.identity ?? {};
  const words = issuer === undefined
    ? "an API key is set (VM_API_KEY), and nobody signs in"
    : `client ${clientId} at ${issuer}${audience === undefined ? "" : ` for ${audience}`}`;
  return [[words, ...sources].join("\n"), denial];
}

/** The state of the stored sign-in. */
async function checkSignIn(target: SignInTarget, flags: FlagValues): Promise<Answer> {
  const report = await readStatus(target);
  if (report.flow !== undefined && report.state !== "valid") {
    return ["no valid token is stored; the next use gets one and asks nobody"];
  }
  const words = report.state === "none" ? "nobody is signed in" : `token ${tokenText(report)}`;
  if (!report.signedIn) return [words, `Run: ${PROGRAM} login${valueFlags(flags, SIGN_IN_FLAGS)}`];
  if (report.refreshable) return [words];
  const cure = "Ask for the scope offline_access, and have it allowed for this client";
  return [words, `The provider gave no refresh token. ${cure}.`];
}
