import type { MaybePromise } from "../../../backends/oidc_credentials_backend.ts";
import { requiredPermissions } from "../../init.ts";
import { resolveOptions } from "../../options/resolve_options.ts";
import { preflight } from "../../permissions/preflight.ts";
import type { FlagValues } from "../flags.ts";
import { findTarget, sessionOptions } from "../sign_in_target.ts";
import { checkProvider } from "./check_provider.ts";
import {
  checkApi,
  checkBackend,
  checkRefresh,
  checkSettings,
  checkSettingsFile,
  checkSignIn,
  checkStore,
} from "./checks.ts";
import { failedBy, type Finding, ok } from "./finding.ts";

/** Completes "Cannot …" in errors. */
export const ACTION = "examine the sign-in";

/** Runs all checks. One that fails does not stop the others that can go on without it. */
export async function examine(flags: FlagValues): Promise<Finding[]> {
  const findings = [...checkSettingsFile(flags)];
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
  if (flags.settings.fault !== undefined) return findings; // the settings are not known
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
  if (chosen !== undefined) await add("store", () => checkStore(chosen.backend));
  if (identity !== undefined) await add("discovery", () => checkProvider(flags, identity, session));
  await add("API", () => checkApi(resolveOptions(options, ACTION).apiHost));
  if (identity === undefined || chosen === undefined) return findings;
  if (flags.has("refresh")) {
    await add("refresh", () => checkRefresh(identity, chosen.backend, options));
  }
  await add("sign-in", () => checkSignIn(identity, chosen.backend, flags));
  return findings;
}
