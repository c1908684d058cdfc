import { assertRuntime, isDeno, isGranted, needDeno } from "../../backends/common/platform.ts";
import { untilAborted } from "../../backends/common/promises.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import {
  getDefaultBackend,
  resolveCredentialsBackend,
} from "../../backends/resolve_credentials_backend.ts";
import { checkBrowserOptions } from "../options/browser_options.ts";
import {
  checkSessionOptions,
  type ModelOptions,
  type ResolvedOptions,
  resolveInitOptions,
  resolveOptions,
  withoutPlaceholder,
} from "../options/resolve_options.ts";
import type { Identity } from "../options/identity.ts";
import { NAMES } from "../format_permissions.ts";
import type { PermissionNeed } from "../permission_need.ts";
import type { DropPermissionsResult } from "../session.ts";
import type { InitOptions, SessionOptions } from "../session_options.ts";
import { fileNeeds, knownAtFirst, laterNeeds, sessionNeeds } from "./needs.ts";
import {
  apiNeeds,
  backendNeeds,
  ensureSelection,
  issuerNeeds,
  NeedList,
  preflight,
  selectionNeeds,
  variableNeeds,
} from "./preflight.ts";

/** The calls that give a session. */
export type SessionCall = "init" | "createSession";

/** What a session is made of: checked options, the store, and the permissions. */
export interface PreparedSession {
  readonly options: SessionOptions;
  readonly resolved: ResolvedOptions;
  /** Only for `init`. */
  readonly modelOptions?: ModelOptions | undefined;
  /** Only with OIDC. */
  readonly backend?: OidcCredentialsBackend | undefined;
  /** The permissions that were checked. */
  readonly needs: () => Promise<SessionNeeds>;
  /** Whether those of a sign-in are granted, where a look costs little. */
  readonly mayRefresh?: () => boolean;
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

/** Checks all options and the permissions of a start, and chooses the backend. */
export async function prepareSession(
  options: InitOptions,
  call: SessionCall,
): Promise<PreparedSession> {
  const isInit = call === "init";
  const action = isInit ? "sign in to ValidMind" : "create the session";
  assertRuntime(action);
  checkSessionOptions(options, action, isInit);
  const given = withoutPlaceholder(options);
  const variables = variableNeeds(given, isInit);
  await preflight(action, variables, "always", () => knownAtFirst(given, call));
  const modelOptions = isInit ? resolveInitOptions(options, action) : undefined;
  const resolved = modelOptions ?? resolveOptions(options, action);
  options.signal?.throwIfAborted();
  if (options.redirectUri ?? options.listen ?? options.authorizationParameters) {
    checkBrowserOptions(options, action);
  }
  needDenoFor(resolved.identity);
  const list = needList(action, variables, resolved);
  const needs = () => Promise.resolve(needsOf(list, options, resolved.identity, call));
  if (resolved.identity.kind === "api_key") {
    await list.ensure();
    return { options, resolved, modelOptions, needs };
  }
  const later = () => laterNeeds(options, resolved.identity);
  const backend = await untilAborted(chooseBackend(options, list, later), options.signal);
  await list.ensure(backendNeeds(backend));
  return { options, resolved, modelOptions, backend, needs };
}

/** Refuses the flow and the files that only Deno serves. */
function needDenoFor(identity: Identity): void {
  if (identity.kind === "oidc" && identity.flow === "browser") {
    needDeno("sign in in the browser (flow, VM_OIDC_FLOW)", 'Set flow: "device".');
  }
  if (fileNeeds(identity).length > 0) {
    needDeno("read the client's key or assertion", "Use clientSecret (VM_OIDC_CLIENT_SECRET).");
  }
}

/** The permissions of a session whose start was plain, and checked them itself. */
export function plainNeeds(
  options: SessionOptions,
  resolved: ResolvedOptions,
  backend: OidcCredentialsBackend,
): SessionNeeds {
  const list = needList("create the session", variableNeeds(options, false), resolved);
  list.add([...selectionNeeds(), ...backendNeeds(backend)]);
  return needsOf(list, options, resolved.identity, "createSession");
}

function needList(
  action: string,
  variables: readonly PermissionNeed[],
  resolved: ResolvedOptions,
): NeedList {
  const start = [...variables, ...apiNeeds(resolved)];
  return new NeedList(action, start, () => issuerNeeds(resolved));
}

function needsOf(
  list: NeedList,
  options: SessionOptions,
  identity: Identity,
  call: SessionCall,
): SessionNeeds {
  return {
    drop: (willRefresh, all) =>
      dropPermissions(sessionNeeds(list.all(), options, identity, call), willRefresh, all),
    ensureSignIn: () => list.ensureSignIn(fileNeeds(identity)),
  };
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

/** Chooses the backend. If the environment chooses it, the variables are checked first. */
async function chooseBackend(
  { credentialsBackend }: SessionOptions,
  needs: NeedList,
  later: () => readonly PermissionNeed[],
): Promise<OidcCredentialsBackend> {
  if (credentialsBackend === undefined && getDefaultBackend() === undefined) {
    await ensureSelection((more) => needs.ensure(more, later));
  }
  return await resolveCredentialsBackend(credentialsBackend);
}
