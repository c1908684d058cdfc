import { backendNeeds, selectionNeeds } from "../../permissions/start_needs.ts";
import type { MaybePromise } from "../../../backends/oidc_credentials_backend.ts";
import { requiredPermissions } from "../../init.ts";
import { resolveOptions } from "../../options/resolve_options.ts";
import { preflight } from "../../permissions/preflight.ts";
import { chooseBackend } from "../choose_backend.ts";
import type { FlagValues } from "../flags.ts";
import { identityNeeds, sessionOptions } from "../sign_in_target.ts";
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
  const findings = [checkSettingsFile(flags)];
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
  const variables = [...identityNeeds(flags), ...(flags.has("backend") ? [] : selectionNeeds())];
  const isReadable = await attempt(
    "permissions",
    () => preflight(ACTION, variables, "always").then(() => true),
  );
  if (!isReadable) return findings; // nothing else can be checked without the variables
  const options = { ...sessionOptions(flags), interactive: false };
  const resolved = await attempt("settings", () => resolveOptions(options, ACTION));
  if (resolved !== undefined) findings.push(...checkSettings(resolved.identity, flags));
  const { identity, apiHost } = resolved ?? {};
  const api = () => apiHost === undefined ? [] : checkApi(apiHost);
  if (identity?.kind === "api_key") {
    await add("API", api);
    return findings;
  }
  await using chosen = await attempt("backend", () => chooseBackend(flags, ACTION, variables));
  if (chosen === undefined) return findings;
  const { backend } = chosen;
  await add("backend", () => checkBackend(chosen));
  const session = { ...options, credentialsBackend: backend };
  const isPermitted = await attempt("permissions", async () => {
    const about = { call: "createSession" } as const;
    const needs = identity === undefined
      ? backendNeeds(backend)
      : await requiredPermissions(session, about);
    const all = [...variables, ...chosen.needs(), ...needs];
    for (const when of ["always", "sign_in"] as const) await preflight(ACTION, all, when);
    return true;
  });
  if (!isPermitted) return findings;
  findings.push(ok("permissions", "all permissions of a sign-in are granted"));
  await add("store", () => checkStore(backend));
  if (identity === undefined) return findings;
  await add("discovery", () => checkProvider(flags, identity, session));
  await add("API", api);
  if (flags.has("refresh")) await add("refresh", () => checkRefresh(identity, session));
  await add("sign-in", () => checkSignIn(identity, backend, flags));
  return findings;
}
