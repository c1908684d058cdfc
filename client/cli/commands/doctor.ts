import { describeBackend } from "../../../backends/common/describe_backend.ts";
import {
  connectionAdvice,
  connectionFault,
  parseHttpDate,
} from "../../../backends/common/printable.ts";
import type {
  MaybePromise,
  OidcCredentialsBackend,
} from "../../../backends/oidc_credentials_backend.ts";
import { requiredPermissions } from "../../init.ts";
import { clientAuthFromEnv, type OidcIdentity } from "../../options/resolve_identity.ts";
import { resolveOptions } from "../../options/resolve_options.ts";
import { preflight } from "../../permissions/preflight.ts";
import type { SessionOptions } from "../../session_options.ts";
import { VERSION } from "../../signed_in/session.ts";
import { CredentialStore } from "../../tokens/store.ts";
import { type Command, EXIT, printResult, PROGRAM } from "../command.ts";
import type { FlagValues } from "../flags.ts";
import { columns } from "../output.ts";
import { ALL_FLAGS_HINT, describeError, loginCommand } from "../report_error.ts";
import {
  type ChosenBackend,
  findTarget,
  sessionOptions,
  SIGN_IN_FLAGS,
} from "../sign_in_target.ts";
import { formatLength, readStatus, sourcesText, tokenText } from "../status_report.ts";

const API_TIMEOUT_MS = 30_000;
/** The tolerance of oauth4webapi for the times in an ID token. */
const SKEW_WARNING_MS = 30_000;
const SKEW_FAILURE_MS = 5 * 60_000;

export const doctor: Command = {
  name: "doctor",
  summary: "check settings, permissions, store, provider, clock and API",
  details: [
    "Each line is ok, warning or fail, with the remedy; a fail makes the exit code 1. " +
    "Nothing is changed: a test entry is written to the store under its own key, and " +
    "removed (a missing store is created, empty). No token leaves the store.",
  ],
  flags: [...SIGN_IN_FLAGS, "api-host", "json", "quiet"],
  examples: ["doctor", "doctor --json | jq '.checks[] | select(.result == \"fail\")'"],
  action: "examine the sign-in",
  async run(invocation) {
    const checks = await examine(invocation.flags);
    const isFailed = checks.some(({ result }) => result === "fail");
    const versions = { [PROGRAM]: VERSION, deno: Deno.version.deno };
    const text = `${PROGRAM} ${VERSION}, deno ${Deno.version.deno}\n\n${findingsText(checks)}`;
    printResult(invocation, { ok: !isFailed, versions, checks }, text);
    return isFailed ? EXIT.failure : EXIT.ok;
  },
};

/** The result of one check. Holds no secret. */
interface Finding {
  readonly check: string;
  readonly result: "ok" | "warning" | "fail" | "skipped";
  readonly message: string;
  /** The remedy, if one is needed. */
  readonly advice?: string;
}

function findingsText(checks: readonly Finding[]): string {
  return columns(checks.flatMap(({ result, check, message, advice }) => {
    const [first = "", ...rest] = message.split("\n");
    const more = [...rest, ...(advice === undefined ? [] : [`→ ${advice}`])];
    return [[result, check, first], ...more.map((line) => ["", "", line])];
  }));
}

function ok(check: string, message: string): Finding {
  return { check, result: "ok", message };
}

/** The check failed by an error. Its message has the remedy. */
function failedBy(check: string, error: unknown, flags: FlagValues): Finding {
  const { code, message } = describeError(error, flags);
  const isDenied = code === "permission_required";
  return { check, result: "fail", message, ...(isDenied && { advice: ALL_FLAGS_HINT }) };
}

/** Runs all checks. One that fails does not stop the others that can go on without it. */
async function examine(flags: FlagValues): Promise<Finding[]> {
  const { denial } = flags.settings;
  const findings: Finding[] = [];
  if (denial !== undefined) {
    findings.push({ check: "settings file", result: "warning", message: denial });
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
  await using target = await attempt("settings", () => findTarget(flags, doctor.action));
  if (target === undefined) return findings;
  const { identity, chosen } = target.stored ?? {};
  findings.push(...checkSettings(identity, flags));
  if (chosen !== undefined) await add("backend", () => checkBackend(chosen));
  const options = { ...sessionOptions(flags), interactive: false };
  const session = { ...options, credentialsBackend: chosen?.backend };
  const isPermitted = await attempt("permissions", async () => {
    const needs = await requiredPermissions(session, { call: "createSession" });
    for (const when of ["always", "sign_in"] as const) await preflight(doctor.action, needs, when);
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
  if (identity !== undefined) await add("discovery", () => checkProvider(identity, session));
  await add("API", () => checkApi(resolveOptions(options, doctor.action).apiHost));
  if (identity !== undefined && chosen !== undefined) {
    await add("sign-in", () => checkSignIn(identity, chosen.backend, flags));
  }
  return findings;
}

/** The sign-in that the settings name, and their sources. */
function checkSettings(identity: OidcIdentity | undefined, flags: FlagValues): Finding[] {
  const sources = sourcesText(flags.settings);
  const { issuer, clientId, audience } = identity ?? {};
  const words = identity === undefined
    ? "an API key is set (VM_API_KEY), and nobody signs in"
    : `client ${clientId} at ${issuer}${audience === undefined ? "" : ` for ${audience}`}`;
  const findings = [ok("settings", words), ...(sources === "" ? [] : [ok("set by", sources)])];
  if (
    identity?.flow === "client_credentials" && Object.keys(clientAuthFromEnv(identity)).length === 0
  ) {
    const message = "the client has nothing to prove itself by";
    const advice = "Set VM_OIDC_CLIENT_SECRET, VM_OIDC_CLIENT_KEY_FILE or " +
      "VM_OIDC_CLIENT_ASSERTION_FILE beside VM_OIDC_ISSUER and VM_OIDC_CLIENT_ID.";
    findings.push({ check: "client", result: "fail", message, advice });
  }
  return findings;
}

/** The backend, and what may surprise about it. */
function checkBackend({ backend, name, why }: ChosenBackend): Finding[] {
  const check = "backend";
  const findings = [ok(check, `${name}, since ${why}: ${describeBackend(backend)}`)];
  if (backend.persistent === false) {
    const advice = "People sign in again in each process. Choose another backend to avoid that.";
    const message = "it keeps tokens only while a process runs";
    findings.push({ check, result: "warning", message, advice });
  }
  if (backend.withLock === undefined) {
    const message = "it has no lock, so two processes may refresh one token at once";
    const advice = "Give it withLock(), or run one process at a time.";
    findings.push({ check, result: "warning", message, advice });
  }
  return findings;
}

/** Reads the provider's discovery document, and its clock by the way. */
async function checkProvider({ issuer }: OidcIdentity, options: SessionOptions) {
  let skewMs = NaN;
  const watched: typeof fetch = async (input, init) => {
    const before = Date.now();
    const response = await fetch(input, init);
    const { headers } = response;
    // The header counts whole seconds, and a cache adds the age of its answer.
    const time = parseHttpDate(headers.get("date")) + 500 + Number(headers.get("age")) * 1000;
    skewMs = time - (before + Date.now()) / 2;
    return response;
  };
  const about = { call: "createSession", discover: true } as const;
  const needs = await requiredPermissions({ ...options, fetch: watched }, about);
  await preflight("use the provider's hosts", needs, "sign_in");
  return [ok("discovery", `${issuer} answers correctly`), clock(skewMs)];
}

/** The clock of this computer beside the provider's, where that is known. */
function clock(skewMs: number): Finding {
  const check = "clock";
  if (Number.isNaN(skewMs)) {
    return { check, result: "skipped", message: "the provider does not tell the time" };
  }
  const off = Math.abs(skewMs);
  if (off <= SKEW_WARNING_MS) return ok(check, "within 30 s of the provider's");
  const direction = skewMs > 0 ? "behind" : "ahead of";
  const message = `this computer's clock is ${formatLength(off)} ${direction} the provider's`;
  const advice =
    "Set it by a time server. A wrong clock makes ID tokens fail and tokens end at the wrong time.";
  return { check, result: off > SKEW_FAILURE_MS ? "fail" : "warning", message, advice };
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
    return [{ check, result: "warning", message: `${ping} answers with status ${status}`, advice }];
  } catch (error) {
    const fault = connectionFault(error) ?? "the connection failed";
    const message = `${apiHost} cannot be reached: ${fault}`;
    return [{ check, result: "fail", message, advice: connectionAdvice(fault, "VM_API_HOST") }];
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
  const message = report.state === "none"
    ? "nobody is signed in"
    : `token ${tokenText(report, now)}`;
  if (report.signed_in && report.refreshable) return ok(check, message);
  const advice = report.signed_in
    ? "Ask for the scope offline_access; otherwise people sign in again when the token ends."
    : `Run: ${loginCommand(flags)}`;
  return { check, result: "warning", message, advice };
}
