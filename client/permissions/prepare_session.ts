import { assertRuntime, isDeno, isGranted } from "../../backends/common/platform.ts";
import { untilAborted } from "../../backends/common/promises.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import {
  getDefaultBackend,
  resolveCredentialsBackend,
} from "../../backends/resolve_credentials_backend.ts";
import { NAMES } from "../format_permissions.ts";
import { checkBrowserOptions } from "../options/browser_options.ts";
import {
  checkSessionOptions,
  type ModelOptions,
  type ResolvedOptions,
  resolveInitOptions,
  resolveOptions,
  withoutPlaceholder,
} from "../options/resolve_options.ts";
import type { PermissionNeed } from "../permission_need.ts";
import type { DropPermissionsResult } from "../session.ts";
import type { InitOptions, SessionOptions } from "../session_options.ts";
import { asAlways, browserNeeds, envNeeds, startNeeds } from "./needs.ts";
import { ensureSelection, preflight } from "./preflight.ts";

/** A session's parts: checked options, the store, and the permissions. */
export interface PreparedSession {
  readonly options: SessionOptions;
  readonly resolved: ResolvedOptions;
  /** Only for `init`. */
  readonly modelOptions: ModelOptions | undefined;
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
  options: InitOptions,
  call: "init" | "createSession",
): Promise<PreparedSession> {
  const isInit = call === "init";
  const action = isInit ? "sign in to ValidMind" : "sign in";
  assertRuntime(action);
  checkSessionOptions(options, action, isInit);
  const variables = envNeeds(withoutPlaceholder(options), call);
  const known = () => [...variables.map(asAlways), ...startNeeds(options, call)];
  await preflight(action, variables, "always", known);
  const modelOptions = isInit ? resolveInitOptions(options, action) : undefined;
  const resolved = modelOptions ?? resolveOptions(options, action);
  options.signal?.throwIfAborted();
  checkBrowserOptions(options, action);
  const all = () => [...startNeeds(options, call), ...browserNeeds(options)];
  const backend = resolved.identity.kind === "api_key"
    ? undefined
    : await untilAborted(chooseBackend(options, action, all), options.signal);
  const needs = startNeeds(options, call, backend);
  const later = browserNeeds(options);
  await preflight(action, needs, "always", () => [...needs, ...later]);
  return {
    options,
    resolved,
    modelOptions,
    backend,
    needs: {
      drop: (willRefresh, all) => dropPermissions([...needs, ...later], willRefresh, all),
      ensureSignIn: () => preflight(action, needs, "sign_in"),
    },
  };
}

/** Chooses the backend. If the environment chooses it, the variables are checked first. */
async function chooseBackend(
  { credentialsBackend }: SessionOptions,
  action: string,
  all: () => readonly PermissionNeed[],
): Promise<OidcCredentialsBackend> {
  if (credentialsBackend === undefined && getDefaultBackend() === undefined) {
    await ensureSelection((needs) => preflight(action, needs, "always", all));
  }
  return await resolveCredentialsBackend(credentialsBackend);
}

async function dropPermissions(
  needs: readonly PermissionNeed[],
  willRefresh: boolean,
  all: boolean,
): Promise<DropPermissionsResult> {
  const isKept = (need: PermissionNeed) =>
    need.name !== "env" && (willRefresh || need.name === "net" && need.need === "always");
  const kept = needs.filter(isKept);
  const unneeded: Deno.PermissionDescriptor[] = needs.filter((need) => !isKept(need)).map(bare);
  if (all) {
    const kinds = NAMES.filter((name) => !kept.some((need) => need.name === name));
    unneeded.push(...kinds.map((name) => ({ name })));
  }
  const granted = unneeded.filter(isGranted);
  for (const one of isDeno ? granted : []) await Deno.permissions.revoke(one);
  return {
    dropped: granted.filter((descriptor) => !isGranted(descriptor)),
    stillGranted: granted.filter(isGranted),
  };
}

function bare({ reason: _, need: _1, ...descriptor }: PermissionNeed): Deno.PermissionDescriptor {
  return descriptor as Deno.PermissionDescriptor;
}
