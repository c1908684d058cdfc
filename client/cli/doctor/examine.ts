import type { OidcIdentity } from "../../options/resolve_identity.ts";
import { describeBackend } from "../../../backends/common/describe_backend.ts";
import { connectionAdvice, connectionFault } from "../../../backends/common/printable.ts";
import type {
  MaybePromise,
  OidcCredentialsBackend,
} from "../../../backends/oidc_credentials_backend.ts";
import { requiredPermissions } from "../../init.ts";
import { resolveOptions } from "../../options/resolve_options.ts";
import { preflight } from "../../permissions/preflight.ts";
import { CredentialStore } from "../../tokens/store.ts";
import type { ChosenBackend } from "../choose_backend.ts";
import { loginCommand } from "../report_error.ts";
import type { FlagValues } from "../flags.ts";
import { readStatus } from "../read_status.ts";
import { findTarget, sessionOptions } from "../sign_in_target.ts";
import { sourcesText, tokenText } from "../status_text.ts";
import { checkProvider } from "./check_provider.ts";
import { fail, failedBy, type Finding, ok, warning } from "./finding.ts";

const API_TIMEOUT_MS = 30_000;
/** Completes "Cannot …" in errors. */
export const ACTION = "examine the sign-in";

/** Runs all checks. One that fails does not stop the others that can go on without it. */
export async function examine(flags: FlagValues): Promise<Finding[]> {
  const { fault, denial } = flags.settings;
  if (fault !== undefined) return [failedBy("settings file", fault, flags)];
  const findings: Finding[] = [];
  if (denial !== undefined) {
    findings.push(warning("settings file", denial, "Or go on without its settings."));
  }
  const attempt = async <T>(check: string, step: () => MaybePromise<T>) => {
    try {
      return await step();
    } catch (error) {
      findings.push(failedBy(check, error, flags));
      return undefined;
    }
  };
  const add = async (check: string, step: () => MaybePromise<Finding | Finding[]>) =>
    findings.push(...[await attempt(check, step) ?? []].flat());
  await using target = await attempt("settings", () => findTarget(flags, ACTION));
  if (target === undefined) return findings;
  const { identity, chosen } = target.stored ?? {};
  findings.push(...checkSettings(identity, flags));
  if (chosen !== undefined) await add("backend", () => checkBackend(chosen));
  const options = { ...sessionOptions(flags), interactive: false };
  const session = { ...options, credentialsBackend: chosen?.backend };
  const isPermitted = await attempt("permissions", async () => {
    const needs = await requiredPermissions(session, { call: "createSession" });
    for (const when of ["always", "sign_in"] as const) await preflight(ACTION, needs, when);
    findings.push(ok("permissions", "all permissions of a sign-in are granted"));
    return true;
  });
  if (!isPermitted) return findings;
  if (chosen !== undefined) {
    await add("store", async () => {
      await new CredentialStore(chosen.backend, "").probe();
      return ok("store", "a test entry was written, read and removed");
    });
  }
  if (identity !== undefined) await add("discovery", () => checkProvider(flags, identity, session));
  await add("API", () => checkApi(resolveOptions(options, ACTION).apiHost));
  if (identity === undefined || chosen === undefined) return findings;
  await add("sign-in", () => checkSignIn(identity, chosen.backend, flags));
  return findings;
}

/** The sign-in that the settings name, and their sources. */
function checkSettings(identity: OidcIdentity | undefined, flags: FlagValues): Finding[] {
  const sources = sourcesText(flags.settings);
  const { issuer, clientId, audience } = identity ?? {};
  const words = identity === undefined
    ? "an API key is set (VM_API_KEY), and nobody signs in"
    : `client ${clientId} at ${issuer}${audience === undefined ? "" : ` for ${audience}`}`;
  return [ok("settings", words), ...(sources === "" ? [] : [ok("set by", sources)])];
}

/** The backend, and what may surprise about it. */
function checkBackend({ backend, name, why }: ChosenBackend): Finding[] {
  const check = "backend";
  const findings = [ok(check, `${name}, since ${why}: ${describeBackend(backend)}`)];
  if (backend.persistent === false) {
    const advice = "People sign in again in each process. Choose another backend to avoid that.";
    findings.push(warning(check, "it keeps tokens only while a process runs", advice));
  }
  if (backend.withLock === undefined) {
    const message = "it has no lock, so two processes may refresh one token at once";
    findings.push(warning(check, message, "Give it withLock(), or run one process at a time."));
  }
  return findings;
}

/**
 * Asks the API for what `init()` asks it first, without a token. A refusal passes: it shows that the
 * address is right.
 */
async function checkApi(apiHost: string | undefined): Promise<Finding[]> {
  const check = "API";
  if (apiHost === undefined) return [];
  const ping = new URL("ping", apiHost);
  try {
    const signal = AbortSignal.timeout(API_TIMEOUT_MS);
    const { status, body } = await fetch(ping, { redirect: "manual", signal });
    await body?.cancel();
    if (status < 500 && status !== 404) return [ok(check, `${apiHost} answers`)];
    const advice = status === 404
      ? "For ValidMind, check the path of VM_API_HOST. Another API need not have this address."
      : "Try again later, or ask its operator.";
    return [warning(check, `${ping} answers with status ${status}`, advice)];
  } catch (error) {
    const fault = connectionFault(error) ?? "the connection failed";
    const message = `${apiHost} cannot be reached: ${fault}`;
    return [fail(check, message, connectionAdvice(fault, "VM_API_HOST"))];
  }
}

/** The state of the stored sign-in. */
async function checkSignIn(
  identity: OidcIdentity,
  backend: OidcCredentialsBackend,
  flags: FlagValues,
): Promise<Finding> {
  const check = "sign-in";
  const now = Date.now();
  const report = await readStatus(identity, backend, now);
  if (identity.flow === "client_credentials" && report.state !== "valid") {
    return ok(check, "no valid token is stored; the next use gets one for the client itself");
  }
  const words = report.state === "none" ? "nobody is signed in" : `token ${tokenText(report, now)}`;
  if (!report.signed_in) return warning(check, words, `Run: ${loginCommand(flags)}`);
  if (report.refreshable) return ok(check, words);
  const advice =
    "Ask for the scope offline_access; otherwise people sign in again when the token ends.";
  return warning(check, words, advice);
}
