import { describeBackend } from "../../../backends/common/describe_backend.ts";
import { VERSION } from "../../../backends/common/runtime.ts";
import { wrapBackend } from "../../../backends/common/wrap_backend.ts";
import { createSession, prepareCall, type PreparedCall } from "../../create_session.ts";
import { keyOfIdentity } from "../../credential_key.ts";
import { asksNobody } from "../../entry/bearer.ts";
import type { ApiError } from "../../errors.ts";
import { preflight } from "../../permissions/preflight.ts";
import { reachEndpoint } from "../../provider/fetch.ts";
import { openProvider } from "../../provider/oidc_provider.ts";
import { CredentialStore } from "../../tokens/store.ts";
import { type CommandCall, EXIT, PROGRAM } from "../command.ts";
import { type Answer, Findings } from "../doctor/findings.ts";
import { examineProvider, hasAssertion } from "../doctor/trial.ts";
import { type FlagValues, SIGN_IN_FLAGS } from "../flags.ts";
import { printResult } from "../output.ts";
import { valueFlags } from "../report_error.ts";
import {
  assertPersistent,
  findTarget,
  sessionOptions,
  settingsOf,
  type SignInTarget,
} from "../sign_in_target.ts";
import { readStatus, type StatusReport, tokenText } from "./status.ts";
import { readBearer } from "./token.ts";

export async function run({ flags, command }: CommandCall): Promise<number | void> {
  const findings = new Findings(flags);
  await examine(findings, command.action);
  const { isFailed, all } = findings;
  const versions = { [PROGRAM]: VERSION, deno: Deno.version.deno };
  const text = `${PROGRAM} ${VERSION}, deno ${versions.deno}\n\n${findings.text}`;
  printResult(flags, { ok: !isFailed, versions, checks: all }, text);
  if (isFailed) return EXIT.failure;
}

/** Runs all checks. One that fails does not stop the others that can go on without it. */
async function examine(findings: Findings, action: string) {
  const { flags } = findings;
  let target: SignInTarget | undefined;
  let call: PreparedCall | undefined;
  const isSet = await findings.examine("settings", async () => {
    const found = await findTarget(flags, action);
    const options = { ...sessionOptions(flags), credentialsBackend: found?.backend };
    call = await prepareCall(options, "createSession", action);
    const { identity } = call.resolved; // with the client's proof
    if (found !== undefined && identity.kind === "oidc") target = { ...found, identity };
    return await checkSettings(target, flags, action);
  });
  if (!isSet || call === undefined) return;
  const { allNeeds, resolved } = call;
  const isPermitted = await findings.examine("permissions", async () => {
    const needs = await allNeeds();
    for (const when of ["always", "sign_in"] as const) preflight(action, needs, when);
    return "all permissions of a sign-in are granted";
  });
  if (!isPermitted) return;
  const hasToken = target === undefined || await examineSignIn(findings, call, target);
  if (hasToken === undefined || resolved.apiHost === undefined) return;
  await findings.examine("api", () => checkApi(flags, resolved, target, hasToken));
}

/**
 * The checks of a sign-in at a provider.
 *
 * @returns Whether the API may get the stored token; `undefined` where the store cannot be read.
 */
async function examineSignIn(
  findings: Findings,
  call: PreparedCall,
  target: SignInTarget,
) {
  const { flags } = findings;
  await findings.examine("store", () => checkStore(target));
  const provider = await openProvider(target.identity, call.resolved.runtime);
  await examineProvider(findings, call, provider);
  let report: StatusReport | undefined;
  const isRead = await findings.examine("sign-in", async () => {
    report = await readStatus(target);
    return checkSignIn(report, flags, findings.isFailed);
  });
  if (!isRead || report === undefined) return undefined;
  if (report.refreshable) {
    const isKept = await findings.examine("refresh", () => checkRefresh(flags));
    if (!isKept) return false;
    if (flags.has("refresh")) report = await readStatus(target);
  }
  // Where the API refuses its token, a job asks for another one.
  const mayAsk = asksNobody(target.identity.flow) && hasAssertion(provider.identity);
  return report.state === "valid" && !mayAsk;
}

/** The sign-in that the settings name, and their sources. */
async function checkSettings(
  target: SignInTarget | undefined,
  flags: FlagValues,
  action: string,
): Promise<Answer> {
  const { rows, denial: advice } = await settingsOf(flags, action);
  const sources = rows.map(({ name, source }) => `${name} from ${source}`);
  const message = [subjectOf(target), ...sources].join("\n");
  return { result: advice === undefined ? "ok" : "warning", message, advice };
}

function subjectOf(target: SignInTarget | undefined) {
  if (target === undefined) return "an API key is set (VM_API_KEY), and nobody signs in";
  const { issuer, clientId, audience } = target.identity;
  const words = `client ${clientId} at ${issuer}`;
  if (audience === undefined) return words;
  return `${words} for ${audience}`;
}

/** The store, written and read under its lock. */
async function checkStore(target: SignInTarget) {
  // A job asks for a new token at each start.
  if (!asksNobody(target.identity.flow)) assertPersistent(target.backend, "sign in");
  const store = storeOf(target);
  await store.withLock(() => store.probe());
  return `a test entry was written to ${describeBackend(target.backend)}, read and removed`;
}

function storeOf({ backend, identity }: SignInTarget) {
  return new CredentialStore(backend, keyOfIdentity(identity));
}

/** The state of the stored sign-in. */
function checkSignIn(report: StatusReport, flags: FlagValues, isFailed: boolean): Answer | string {
  if (report.flow !== undefined && report.state !== "valid") {
    const now = "no valid token is stored";
    if (isFailed) return now;
    return `${now}; the next use gets one and asks nobody`;
  }
  const result = "warning";
  const message = report.state === "none" ? "nobody is signed in" : `token ${tokenText(report)}`;
  if (report.backend?.persistent === false) return { result, message }; // the store has the way on
  if (!report.signedIn) {
    return { result, message, advice: `Run: ${PROGRAM} login${valueFlags(flags, SIGN_IN_FLAGS)}` };
  }
  if (report.refreshable) return message;
  const cure = "Ask for the scope offline_access, and have it allowed for this client";
  return { result, message, advice: `The provider gave no refresh token. ${cure}.` };
}

/** The stored refresh token, which many providers take once. */
async function checkRefresh(flags: FlagValues): Promise<Answer | string> {
  if (flags.has("refresh")) {
    await readBearer(flags, "get a token");
    return "the provider gave a new token, which is stored";
  }
  return {
    result: "not_tried",
    message: "the stored token is not renewed",
    advice: `Run: ${PROGRAM} doctor --refresh${valueFlags(flags, SIGN_IN_FLAGS)}`,
  };
}

/** The answers of an API that does not have this path, or does not take it bare. */
const OTHER_API = [400, 404, 405, 422];

/** The API, which gets the stored token or the key. */
async function checkApi(
  flags: FlagValues,
  { apiHost = "", runtime }: PreparedCall["resolved"],
  target: SignInTarget | undefined,
  hasToken: boolean,
) {
  if (!hasToken) {
    const status = await reachEndpoint(apiHost, runtime);
    return `${apiHost} answers ${status}, and no token was sent`;
  }
  await using session = await openCopy(flags, target);
  try {
    await session.get("ping");
    return `${apiHost} takes it`;
  } catch (error) {
    const { status = 0 } = error as Partial<ApiError>;
    if (OTHER_API.includes(status)) return `${apiHost} answers ${status} to ping`;
    throw error;
  }
}

/** A session with the stored token, which it cannot refresh. Nothing of it is stored. */
async function openCopy(flags: FlagValues, target: SignInTarget | undefined) {
  const options = sessionOptions(flags);
  if (target === undefined) return await createSession(options);
  const store = storeOf(target);
  const entry = { ...(await store.read())!, refresh_token: null };
  // By the name of the store, which the settings may demand.
  const copy = wrapBackend(target.backend, {
    get: () => entry,
    put: () => false,
    delete: () => {},
    storeId: undefined,
    withLock: undefined,
  });
  return await createSession({ ...options, credentialsBackend: copy, interactive: false });
}
