import type { MaybePromise } from "../../../backends/oidc_credentials_backend.ts";
import { createSession } from "../../create_session.ts";
import { readClaims } from "../../entry.ts";
import type { OidcIdentity } from "../../options/identity.ts";
import { type ResolvedOptions, resolveOptions } from "../../options/resolve_options.ts";
import type { PermissionNeed } from "../../permission_need.ts";
import { hostAndFileNeeds } from "../../permissions/needs.ts";
import { backendNeeds, preflight, selectionNeeds } from "../../permissions/preflight.ts";
import { chooseBackend, type ChosenBackend } from "../choose_backend.ts";
import type { FlagValues } from "../flags.ts";
import { readStatus, type SignInState, storeOf } from "../read_status.ts";
import { identityNeeds, sessionOptions } from "../sign_in_target.ts";
import { checkApi } from "./check_api.ts";
import { checkHub } from "./check_hub.ts";
import { checkProvider, clock } from "./check_provider.ts";
import { checkSettings, checkSettingsFile } from "./check_settings.ts";
import { checkBackend, checkStore } from "./check_store.ts";
import { failedBy, type Finding, ok, skipped, warning } from "./finding.ts";

/** Completes "Cannot …" in errors. */
export const ACTION = "examine the sign-in";

/** The times in tokens count whole seconds. */
const HALF_SECOND_MS = 500;

/** Runs all checks. One that fails does not stop the others that can go on without it. */
export async function examine(flags: FlagValues): Promise<Finding[]> {
  const findings: Finding[] = [];
  const attempt = <T>(check: string, step: () => MaybePromise<T>) =>
    tryCheck(findings, check, step);
  findings.push(...checkSettingsFile(flags));
  if (flags.settings.fault !== undefined) return findings; // the settings are not known
  const settings = [...identityNeeds(flags), ...(flags.has("backend") ? [] : selectionNeeds())];
  const isReadable = await attempt("permissions", async () => {
    await preflight(ACTION, settings, "always");
    return true;
  });
  if (!isReadable) return findings; // nothing else can be checked without the variables
  const resolved = await attempt("settings", () => {
    const resolved = resolveOptions({ ...sessionOptions(flags), interactive: false }, ACTION);
    findings.push(...checkSettings(resolved.identity, flags));
    return resolved;
  });
  if (resolved?.identity.kind === "api_key") return [...findings, ...await checkApi(resolved)];
  await using chosen = await attempt("backend", async () => {
    const chosen = await chooseBackend(flags, ACTION, settings);
    findings.push(...checkBackend(chosen));
    return chosen;
  });
  if (chosen !== undefined) findings.push(...checkHub(chosen));
  const isPermitted = await attempt("permissions", async () => {
    await preflight("sign in", signInNeeds(flags, resolved, chosen), "always");
    findings.push(ok("permissions", "all permissions of a sign-in are granted"));
    return true;
  }) ?? false;
  if (chosen !== undefined) findings.push(...await checkStore(chosen.backend, isPermitted));
  if (resolved?.identity.kind !== "oidc") return findings;
  const { identity, runtime } = resolved;
  findings.push(
    ...(isPermitted
      ? await checkProvider(identity, runtime, flags.has("probe"), sessionOptions(flags))
      : [skipped("discovery", "permissions are missing")]),
    ...await checkApi(resolved),
  );
  if (chosen === undefined || !isPermitted) return findings;
  const renewed = flags.has("refresh")
    ? await attempt("refresh", () => checkRefresh(flags, identity, chosen, findings))
    : undefined;
  const signIn = await attempt("sign-in", () => checkSignIn(identity, chosen));
  return [...findings, renewed, signIn].filter((finding) => finding !== undefined);
}

async function tryCheck<T>(
  findings: Finding[],
  check: string,
  step: () => MaybePromise<T>,
): Promise<T | undefined> {
  try {
    return await step();
  } catch (error) {
    findings.push(failedBy(check, error));
    return undefined;
  }
}

/** All permissions of a sign-in, as far as settings and backend are known. */
function signInNeeds(
  flags: FlagValues,
  resolved: ResolvedOptions | undefined,
  chosen: ChosenBackend | undefined,
): PermissionNeed[] {
  return [
    ...identityNeeds(flags),
    ...(resolved === undefined ? [] : hostAndFileNeeds(resolved)),
    ...(chosen === undefined ? [] : [...chosen.needs(), ...backendNeeds(chosen.backend)]),
  ].map((need) => need.need === "sign_in" ? { ...need, need: "always" } : need);
}

const STATE_WORDS: Record<SignInState, [message: string, advice?: string]> = {
  valid: ["a valid token is stored"],
  refreshable: ["the stored token has ended, and will be refreshed at the next use"],
  api_key: ["an API key is set"],
  none: ["nobody is signed in", "Run login."],
  expired: ["the stored token has ended, and there is no refresh token", "Run login."],
  other_scope: ["the stored token has a smaller scope", "Run login."],
};

/**
 * Renews the stored sign-in as any use does: under the lock, and into the store.
 *
 * @param findings Those of the checks before. The one of the clock is put right where the provider's
 * time was not known.
 */
async function checkRefresh(
  flags: FlagValues,
  identity: OidcIdentity,
  { backend }: ChosenBackend,
  findings: Finding[],
): Promise<Finding> {
  const check = "refresh";
  const { refreshable, signed_in } = await readStatus(identity, backend, Date.now());
  const isClient = identity.flow === "client_credentials";
  if (!isClient && (!signed_in || refreshable !== true)) {
    return skipped(check, "there is no stored sign-in that can be refreshed");
  }
  const former = await idTokenOf(identity, backend);
  let isRenewed = false;
  let doneAt: number | undefined;
  await using session = await createSession({
    ...sessionOptions(flags),
    credentialsBackend: backend,
    interactive: false,
    onEvent: ({ type }) => {
      isRenewed ||= type === "refresh_done" || type === "refresh_joined";
      if (type === "refresh_done") doneAt = Date.now();
    },
  });
  if (!isRenewed) await session.accessToken({ forceRefresh: true });
  const idToken = await idTokenOf(identity, backend);
  const { iat } = idToken !== undefined && idToken !== former && readClaims(idToken) || {};
  const at = findings.findIndex((one) => one.check === "clock" && one.result === "skipped");
  if (at >= 0 && doneAt !== undefined && typeof iat === "number") {
    findings[at] = clock({ skewMs: iat * 1000 + HALF_SECOND_MS - doneAt, hasAnswer: true });
  }
  return ok(check, "the provider gave new tokens, which were stored");
}

async function idTokenOf(identity: OidcIdentity, backend: ChosenBackend["backend"]) {
  return (await storeOf(backend, identity).load())?.id_token ?? undefined;
}

async function checkSignIn(identity: OidcIdentity, { backend }: ChosenBackend): Promise<Finding> {
  const { state, refreshable } = await readStatus(identity, backend, Date.now());
  if (identity.flow === "client_credentials" && state !== "valid") {
    return ok("sign-in", "no valid token is stored; the next use gets one for the client itself");
  }
  const [message, advice] = STATE_WORDS[state];
  if (advice !== undefined) return warning("sign-in", message, advice);
  if (refreshable !== false) return ok("sign-in", message);
  return warning(
    "sign-in",
    `${message}, without a refresh token`,
    "Ask for the scope offline_access; otherwise people sign in again when the token ends.",
  );
}
