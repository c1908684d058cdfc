import { readBackendChoice } from "../../backends/common/backend_choice.ts";
import { backendName } from "../../backends/common/describe_backend.ts";
import {
  getEnv,
  HOME_VARIABLE,
  isEnvGranted,
  proxyPermissions,
  readEnvIfGranted,
  variablesIn,
} from "../../backends/common/environment.ts";
import { netHost } from "../../backends/common/host.ts";
import { isDeno } from "../../backends/common/runtime.ts";
import type {
  BackendPermission,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";
import { getDefaultBackend } from "../../backends/resolve_credentials_backend.ts";
import { checkDescriptor, type PermissionNeed } from "../format_permissions.ts";
import {
  alternativesOf,
  API_KEY,
  GROUPS,
  OPTION_NAMES,
  type OptionName,
  optionRow,
  OPTIONS,
  parseVariable,
} from "../options/declaration.ts";
import { backendOf, type CallOrigin, isNamedByCode, profileName } from "../options/places.ts";
import {
  fileWith,
  GITHUB_VARIABLES,
  gitHubJob,
  type OidcIdentity,
} from "../options/resolve_identity.ts";
import type { ResolvedOptions } from "../options/resolve_options.ts";
import { CONFIG_VARIABLE, type Settings, settingsPath } from "../options/settings_path.ts";
import type { InitOptions, SessionOptions } from "../session_options.ts";

/** A call whose permissions can be named. */
export type Call = "init" | "createSession";

/** When a permission is required. */
type When = PermissionNeed["need"];

/**
 * All that a start and a refresh need.
 *
 * @param backend The store. Absent with an API key.
 */
export function startNeeds(
  options: InitOptions,
  call: Call,
  resolved: ResolvedOptions,
  backend: OidcCredentialsBackend | undefined,
  places: CallOrigin,
): PermissionNeed[] {
  const { identity, runtime } = resolved;
  const needs = [...envNeeds(options, call), ...apiNeeds(resolved)];
  if (identity.kind === "oidc") {
    const isNative = runtime.fetch === globalThis.fetch;
    needs.push(...providerNeeds(identity, isNative, "to sign in at the provider"));
  }
  if (backend !== undefined) needs.push(...choiceNeeds(options, places), ...backendNeeds(backend));
  return uniqueNeeds([...needs, ...settingsNeeds(options, places.settings)]);
}

/** Those of the settings file, which Deno alone reads. A start does without it, unless it names a profile. */
function settingsNeeds(options: InitOptions, { folder }: Settings) {
  if (!isDeno) return [];
  const reason = "to read the settings file";
  const path = settingsPath();
  const isNeeded = profileName(options) !== "" && !isNamedByCode(options);
  const need = isNeeded ? "always" : "optional";
  const needs = [env(CONFIG_VARIABLE, reason, "optional"), env(HOME_VARIABLE, reason, need)];
  if (path) needs.push(read(path, reason, need));
  if (folder) needs.push(read(folder, "to check the owner of the settings file", need));
  return needs;
}

export function net(url: string, reason: string, need: When): PermissionNeed {
  return { name: "net", host: netHost(new URL(url)), reason, need };
}

function proxyNeeds(url: string): PermissionNeed[] {
  const reason = "to refuse a proxy for this computer";
  return proxyPermissions(url).map((one) => ({ ...one, reason, need: "optional" }));
}

export function read(path: string, reason: string, need: When = "always"): PermissionNeed {
  return { name: "read", path, reason, need };
}

/** The variables that have to be read before anything else is known. */
export function variableNeeds(options: InitOptions, call: Call): PermissionNeed[] {
  const needs = envNeeds(options, call);
  if (!isByKey(options)) needs.push(...choiceNeeds(options));
  return needs;
}

/** The variables by which the environment chooses the store, where it may, and those of a chosen one. */
export function choiceNeeds(
  { credentialsBackend }: SessionOptions,
  places?: CallOrigin,
): PermissionNeed[] {
  if ((credentialsBackend ?? getDefaultBackend()) !== undefined) return [];
  const named = places && backendOf(places);
  return [...selectionNeeds(), ...optionNeeds(named?.options)];
}

/** Whether an API key signs in, as far as options and readable variables tell. */
export function isByKey(options: InitOptions): boolean {
  if (API_KEY.some((name) => options[name] !== undefined)) return true;
  if ((options.issuer ?? options.clientId) !== undefined) return false;
  return readEnvIfGranted(OPTIONS.issuer.variable) === undefined &&
    readEnvIfGranted(OPTIONS.apiKey.variable) !== undefined;
}

/** The variables of absent options, and whether a start requires each. */
export function envNeeds(options: InitOptions, call: Call): PermissionNeed[] {
  return OPTION_NAMES.flatMap((name) => {
    const { variable, group } = optionRow(name);
    const need = needOfVariable(name, options, call);
    if (variable === undefined || need === undefined) return [];
    const variables = [variable];
    if (name === "interactive") variables.push("CI"); // on which it depends where nobody says
    return variables.map((one) => env(one, GROUPS[group], need));
  });
}

/** When the variable of an option is read; `undefined` where it is not. */
function needOfVariable(name: OptionName, options: InitOptions, call: Call): When | undefined {
  const { group, part, variable, requiredBy } = optionRow(name);
  if (variable === undefined) return undefined;
  if (isGiven(name, options)) return needBesideCode(name, options, call);
  if (group === "browser" || group === "model" && call !== "init") return undefined;
  if (part === "subject" && flowOf(options) !== "token_exchange") return undefined;

  const isOfEveryCall = requiredBy === "every call";
  const isOfBothKinds = group === "api" || group === "model";
  if (isOfBothKinds || isOfKind(name, options)) {
    return isOfEveryCall || requiredBy === call ? "always" : "optional";
  }
  // The names of the other kind, to see that there are not credentials of both.
  const { issuer, clientId, apiKey, apiSecret } = options;
  const isNamed = (issuer ?? clientId ?? apiKey ?? apiSecret) !== undefined;
  return isOfEveryCall && !isNamed ? "optional" : undefined;
}

/** Whether an option is of the kind that signs in: an API key, or a provider. */
function isOfKind(name: OptionName, options: InitOptions) {
  return (optionRow(name).group === "api_key") === isByKey(options);
}

/**
 * When the variable of an option is read that code gives: for a name, to see whether the other variables
 * are of the same sign-in. So it is needed as they are.
 */
function needBesideCode(name: OptionName, options: InitOptions, call: Call) {
  if (optionRow(name).part !== "name" || !isOfKind(name, options)) return undefined;
  const others = OPTION_NAMES.filter((other) => {
    const { part = "" } = optionRow(other);
    // The issuer counts beside another client, too.
    const isName = part === "name" && other !== "clientId";
    return !isName && !["free", "person"].includes(part) && !isGiven(other, options);
  });
  const needs = others.map((other) => needOfVariable(other, options, call));
  return NEEDS.find((need) => needs.includes(need));
}

function isGiven(name: OptionName, options: InitOptions) {
  return alternativesOf(name).some((one) => options[one] !== undefined);
}

/** The flow, as far as options and readable variables tell. */
function flowOf({ flow }: SessionOptions) {
  const text = readEnvIfGranted(OPTIONS.flow.variable);
  return flow ?? (text && parseVariable("flow", text, "sign in"));
}

/**
 * The needs of the provider, of the client's proof and of the token to exchange, which a start from a
 * stored token does without.
 *
 * @param isNative Whether requests are made by Deno's own `fetch`.
 * @param purpose The purpose of asking the provider.
 */
export function providerNeeds(
  { issuer, proof, subjectTokenFile }: OidcIdentity,
  isNative: boolean,
  purpose: string,
): PermissionNeed[] {
  const needs: PermissionNeed[] = [];
  if (isNative) needs.push(net(issuer, purpose, "sign_in"), ...proxyNeeds(issuer));
  const reason = "to prove the client, or to exchange a token";
  for (const path of [proof && fileWith(proof), subjectTokenFile]) {
    if (path !== undefined) needs.push(read(path, reason, "sign_in"));
  }
  const job = proof && gitHubJob(proof);
  if (job === undefined) return needs;
  needs.push(...GITHUB_VARIABLES.map((name) => env(name, reason, "sign_in")));
  if (isNative && job.address) needs.push(net(job.address.href, reason, "sign_in"));
  return needs;
}

/**
 * The file of an API secret and the API's host, which every start checks. A `fetch` of the caller's own
 * may need no network or another permission, so nothing is checked for it.
 */
export function apiNeeds({ apiHost, identity, runtime }: ResolvedOptions): PermissionNeed[] {
  const needs: PermissionNeed[] = [];
  if (identity.kind === "api_key" && identity.apiSecretFile !== undefined) {
    needs.push(read(identity.apiSecretFile, "to read the API secret"));
  }
  const isNative = runtime.fetch === globalThis.fetch;
  if (apiHost && isNative) {
    needs.push(net(apiHost, "to call the API", "always"), ...proxyNeeds(apiHost));
  }
  return needs;
}

const TO_FIND = "to find the stored tokens";

/**
 * The variables that choose the backend if neither an argument nor a default does, as far as the
 * readable ones tell.
 */
export function selectionNeeds(): PermissionNeed[] {
  // An empty text is not an unset variable here.
  const read = (variable: string) => isEnvGranted(variable) ? getEnv(variable) : null;
  const { variables, options } = readBackendChoice(read);
  const needs = variables.map((variable) =>
    env(variable, variable === HOME_VARIABLE ? TO_FIND : "to choose the store of the tokens")
  );
  if (options === undefined) return needs;
  return [...needs, ...optionNeeds(read(options) ?? "")];
}

/** The needs of `${NAME}` in the text of a backend's options. */
export function optionNeeds(text = ""): PermissionNeed[] {
  return variablesIn(text).map((variable) => env(variable, "to complete the backend's options"));
}

export function env(variable: string, reason: string, need: When = "always"): PermissionNeed {
  return { name: "env", variable, reason, need };
}

/**
 * The permissions that a backend declares. A backend that declares none adds none.
 *
 * @throws {CredentialsBackendError} `invalid_permissions` for anything but permission descriptors.
 */
export function backendNeeds(backend: OidcCredentialsBackend): PermissionNeed[] {
  const origin = backendName(backend);
  let declared: unknown;
  try {
    declared = backend.requiredPermissions?.() ?? [];
  } catch {
    // The backend's own words may hold anything, so they are not shown.
  }
  if (!Array.isArray(declared)) checkDescriptor(undefined, origin);
  return (declared as BackendPermission[]).map((descriptor) => {
    const { name } = checkDescriptor(descriptor, origin);
    const need = NEEDS.find((one) => one === descriptor.need) ?? "always";
    const isToKeep = need === "sign_in" || name === "write";
    const reason = isToKeep ? "to keep the tokens" : TO_FIND;
    return { ...descriptor, reason, need };
  });
}

/** A need of a call that does at once what a sign-in does later. */
export function asAlways(need: PermissionNeed): PermissionNeed {
  return need.need === "optional" ? need : { ...need, need: "always" };
}

/** The permission of a need. */
export function bare({ reason: _, need: _1, ...rest }: PermissionNeed): Deno.PermissionDescriptor {
  return rest as Deno.PermissionDescriptor;
}

/** From the strongest to the weakest. */
const NEEDS = ["always", "sign_in", "optional"] as const;

/** One need for each permission, the strongest, since parts of a call may share permissions. */
export function uniqueNeeds(needs: readonly PermissionNeed[]): PermissionNeed[] {
  const rank = ({ need }: PermissionNeed) => NEEDS.indexOf(need);
  const groups = Map.groupBy(needs, (need) => JSON.stringify(bare(need)));
  return [...groups.values()].map((group) =>
    group.toSorted((one, other) => rank(one) - rank(other))[0]!
  );
}
