import type { PermissionNeed } from "../format_permissions.ts";
import { assertRuntime, isGranted } from "../../backends/common/platform.ts";
import { untilAborted } from "../../backends/common/promises.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import { resolveCredentialsBackend } from "../../backends/resolve_credentials_backend.ts";
import {
  checkSessionOptions,
  type ResolvedOptions,
  resolveOptions,
} from "../options/resolve_options.ts";
import type { DropPermissionsResult } from "../session.ts";
import type { InitOptions, SessionOptions } from "../session_options.ts";
import {
  apiNeeds,
  asAlways,
  backendNeeds,
  type Call,
  choiceNeeds,
  envNeeds,
  HOME_NEED,
  isByKey,
  startNeeds,
} from "./start_needs.ts";

/** Loaded where a permission is missing, given back or asked about, and for options of the browser. */
export function loadPreflight(): Promise<typeof import("./preflight.ts")> {
  return import("./preflight.ts");
}

/** A session's parts: checked options, the store, and the permissions. */
export interface PreparedSession {
  readonly options: SessionOptions;
  readonly resolved: ResolvedOptions;
  /** Only with OIDC. */
  readonly backend: OidcCredentialsBackend | undefined;
  readonly needs: SessionNeeds;
}

/** The permissions of a session. */
export interface SessionNeeds {
  /**
   * Revokes the permissions that the session does not need any more. Deno grants them again only by
   * asking the person.
   *
   * @param willRefresh Whether the session refreshes its tokens.
   * @param all Whether to revoke every kind that the session does not need.
   */
  drop(willRefresh: boolean, all: boolean): Promise<DropPermissionsResult>;
  /** Checks those of a sign-in. */
  ensureSignIn(): Promise<void>;
}

/**
 * Checks all options and the permissions of a start, and chooses the backend. Variables are checked
 * first, since the others come from them.
 */
export async function prepareSession(
  given: InitOptions,
  call: Call,
): Promise<PreparedSession> {
  const isInit = call === "init";
  const action = isInit ? "sign in to ValidMind" : "sign in";
  assertRuntime(action);
  const options = checkSessionOptions(given, action, isInit);
  const check = checker(action, options);
  if (!isGranted({ name: "env" })) {
    const variables = envNeeds(options, call);
    if (!isByKey(options)) variables.push(...choiceNeeds(options));
    await check(variables, "always", () => [...variables.map(asAlways), HOME_NEED]);
  }
  const resolved = resolveOptions(options, action, isInit);
  options.signal?.throwIfAborted();
  if (options.redirectUri ?? options.listen ?? options.authorizationParameters) {
    (await loadPreflight()).checkBrowserOptions(options, action);
  }
  let backend: OidcCredentialsBackend | undefined;
  // A start does without the whole list, and a session that gave its variables back has no other.
  let list: PermissionNeed[] | undefined;
  const needs = () => list ??= startNeeds(options, call, resolved, backend);
  if (resolved.identity.kind === "oidc") {
    const chosen = resolveCredentialsBackend(options.credentialsBackend);
    backend = await untilAborted(chosen, options.signal);
  }
  await check([...apiNeeds(resolved), ...backend ? backendNeeds(backend) : []], "always", needs);
  return {
    options,
    resolved,
    backend,
    needs: {
      async drop(willRefresh, all) {
        const { browserNeeds, dropPermissions } = await loadPreflight();
        return await dropPermissions([...needs(), ...browserNeeds(options)], willRefresh, all);
      },
      ensureSignIn: () => check(needs(), "sign_in"),
    },
  };
}

/** Checks permissions, those of `when` among `needs`. An error names all that are known. */
function checker(action: string, options: SessionOptions) {
  return async (
    needs: readonly PermissionNeed[],
    when: PermissionNeed["need"],
    more: () => readonly PermissionNeed[] = () => [],
  ): Promise<void> => {
    if (!needs.some((need) => need.need === when && !isGranted(need))) return;
    const { browserNeeds, preflight } = await loadPreflight();
    preflight(action, needs, when, () => [...more(), ...needs, ...browserNeeds(options)]);
  };
}
