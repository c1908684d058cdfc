import { describeBackend } from "../../backends/common/describe_backend.ts";
import { WRITABLE_FOR_OTHERS } from "../../backends/common/judge_path.ts";
import { readPrivateFile } from "../../backends/common/read_private_file.ts";
import { CredentialsBackendError, messageOf } from "../../backends/credentials_backend_error.ts";
import type { NamedBackend } from "../../backends/load/create_backend.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import {
  namedBackend,
  resolveCredentialsBackend,
} from "../../backends/resolve_credentials_backend.ts";
import { openSession } from "../create_session.ts";
import type { PermissionNeed } from "../format_permissions.ts";
import {
  isOfIdentity,
  OPTION_NAMES,
  type OptionRow,
  optionRow,
  type SettingName,
  STORE_NAMES,
} from "../options/declaration.ts";
import type { Found, Passed } from "../options/origin.ts";
import { backendOf, type CallOrigin, findOrigin, SETTINGS_FILE } from "../options/places.ts";
import { type OidcIdentity, resolveIdentity } from "../options/resolve_identity.ts";
import { apiHostMissing } from "../options/resolve_options.ts";
import type { Settings } from "../options/settings_path.ts";
import { permissionCheck } from "../permissions/permission_check.ts";
import { envNeeds, optionNeeds, read, selectionNeeds } from "../permissions/start_needs.ts";
import { canReadTerminal } from "../prompt/terminal.ts";
import type { Session } from "../session.ts";
import type { SessionOptions } from "../session_options.ts";
import { PROGRAM, usageError } from "./command.ts";
import type { FlagName, FlagValues } from "./flags.ts";

/** The flag that names a backend. The flag of its options is the same with "-options". */
type BackendFlag = "backend" | "from" | "to";

/**
 * Chooses the backend that the flags name, else a profile of the settings, else the environment, else
 * the settings file, else the shared file. A flag replaces all variables that choose a backend, including
 * `VM_OIDC_NO_PERSIST`. An error about permissions also names the `known` ones, which are needed anyway.
 *
 * @param places The places of the call, where they are read already.
 * @returns The backend, and the permissions for reading the choice.
 */
export async function chooseStore(
  flags: FlagValues,
  action: string,
  known: readonly PermissionNeed[] = [],
  flag: BackendFlag = "backend",
  places?: CallOrigin,
) {
  const needs: PermissionNeed[] = [];
  const check = () => permissionCheck(action)([...known, ...needs]);
  let named = namedByFlags(flags, flag);
  if (named === undefined) {
    needs.push(...selectionNeeds());
    await check();
    named = backendOf(places ?? await findOrigin(sessionOptions(flags), action));
  }
  if (named === undefined) return { backend: await resolveCredentialsBackend(), needs };
  needs.push(...optionNeeds(named.options));
  await check();
  return { backend: await namedBackend(named), needs };
}

function namedByFlags(flags: FlagValues, flag: BackendFlag): NamedBackend | undefined {
  const name = flags.text(flag);
  const path = flags.text(`${flag}-options`);
  if (name === undefined) {
    if (path === undefined) return undefined;
    throw usageError(`Cannot use --${flag}-options: it needs --${flag}. Give both.`);
  }
  const origin = { name: `--${flag}`, options: `--${flag}-options FILE` };
  if (path === undefined) return { name, options: "{}", origin };
  const options = readPrivateFile(path, {
    forbiddenMode: WRITABLE_FOR_OTHERS, // it has no secrets: others may read it
    what: "a file of options",
    fail: (reason, advice) =>
      usageError(`Cannot read the file ${path} of --${flag}-options: ${reason}. ${advice}`),
  });
  return { name, options, origin };
}

/** The way on from a store that keeps nothing, for which no command signs in. */
export const KEEPING_STORE =
  "Choose one that keeps them by --backend file. Where no flag or variable names the store, run: " +
  `${PROGRAM} config set backend file. Or sign in within the program.`;

/** Refuses a backend that keeps nothing once this program has ended. */
export function assertPersistent(
  backend: OidcCredentialsBackend,
  action: string,
  remedy = KEEPING_STORE,
) {
  if (backend.persistent !== false) return;
  throw new CredentialsBackendError("invalid_options", {
    action,
    reason: `${describeBackend(backend)} keeps tokens only while this program runs`,
    remedy,
  });
}

/** Options of `createSession` that the flags give. Variables and the settings file give the rest. */
export function sessionOptions(flags: FlagValues): SessionOptions {
  const options: Record<PropertyKey, unknown> = flags.has("no-open") ? { openBrowser: false } : {};
  for (const name of OPTION_NAMES) {
    const flag = optionRow(name).flag as FlagName | undefined;
    if (flag !== undefined && flags.has(flag)) options[name] = flags.text(flag) ?? true;
  }
  if (flags.has("parameter")) {
    options.authorizationParameters = Object.fromEntries(pairsOf(flags, "parameter"));
  }
  const file = flags.text("config");
  if (file !== undefined) options[SETTINGS_FILE] = file;
  return options;
}

const FILE_FLAGS = ["config", "backend-options", "from-options", "to-options"] as const;

/** The needs of the files that flags name, beside those of `createSession`. */
export function fileNeeds(flags: FlagValues): PermissionNeed[] {
  const given = FILE_FLAGS.filter((flag) => flags.has(flag));
  const files = given.map((flag) => read(flags.text(flag)!, `to read the file of --${flag}`));
  return [...files, { name: "sys", kind: "uid", reason: "to compare the owner", need: "optional" }];
}

/** Names and values that a flag gives. A value may have the separator in it. */
export function pairsOf(
  flags: FlagValues,
  flag: FlagName,
  separator = "=",
): [name: string, value: string][] {
  return (flags.get(flag) ?? []).map((text) => {
    const at = text.indexOf(separator);
    if (at > 0) return [text.slice(0, at).trim(), text.slice(at + 1)];
    const form = `NAME${separator}VALUE`;
    throw usageError(`Cannot use --${flag}: its value is missing. Give it as ${form}.`);
  });
}

/** Variables that identify a sign-in where the flags do not. */
export function identityNeeds(flags: FlagValues): PermissionNeed[] {
  return envNeeds(sessionOptions(flags), "createSession");
}

/** A sign-in and its backend. */
export interface SignInTarget {
  readonly identity: OidcIdentity;
  readonly backend: OidcCredentialsBackend;
  readonly settings: Settings;
}

/**
 * Finds the sign-in that flags, variables and settings file name; `undefined` if an API key takes its
 * place.
 *
 * @param isApi Whether the command calls the API, which has to be named then.
 */
export async function findTarget(
  flags: FlagValues,
  action: string,
  isApi = false,
): Promise<SignInTarget | undefined> {
  const variables = identityNeeds(flags);
  await permissionCheck(action)(variables);
  const given = sessionOptions(flags);
  const places = await findOrigin(given, action);
  const { origin } = places;
  const isWanted = (row: OptionRow) => isOfIdentity(row) || row.group === "api_key";
  const options = origin.complete(given, action, isWanted);
  const identity = resolveIdentity(options, action, places);
  const host = origin.find("apiUrl") ?? origin.find("apiHost");
  if (isApi && host === undefined) throw apiHostMissing(action, places);
  if (identity.kind === "api_key") return undefined;
  const { backend } = await chooseStore(flags, action, variables, "backend", places);
  return { identity, backend, settings: places.settings };
}

/**
 * The session of the sign-in that flags, variables and settings file name. A person at a terminal is asked
 * for what the API demands, and for a first sign-in with `--login` alone.
 *
 * @param isApi Whether the command calls the API, which has to be named then.
 */
export async function openByFlags(
  flags: FlagValues,
  action: string,
  isApi = false,
): Promise<Session> {
  const target = await findTarget(flags, action, isApi);
  const isAsked = flags.has("login");
  const options = {
    ...sessionOptions(flags),
    credentialsBackend: target?.backend,
    interactive: isAsked,
    ...isApi && canReadTerminal() && {
      reauthenticate: "ask",
      interactive: isAsked || undefined,
    },
  } as SessionOptions;
  return await openSession(options, undefined, "createSession", action, isAsked);
}

/** A setting as a report shows it: its value, and the flag, variable or file that gives it. */
export interface SettingRow {
  readonly name: string;
  readonly value: unknown;
  readonly source: string;
}

/** The settings in force, with the flags; and those that do not count, with the reason. */
export async function settingsOf(flags: FlagValues, action: string) {
  const store = { backend: flags.text("backend"), backendOptions: flags.text("backend-options") };
  const given = { ...sessionOptions(flags), ...store };
  const { origin, settings, profile } = await findOrigin(given, action);
  origin.complete({}, action, () => true); // a variable that does not fit is an error
  const place = origin.placeOfStore();
  const ofOptions = OPTION_NAMES.flatMap((name) =>
    rowOf(name, origin.find(name) ?? origin.passed(name))
  );
  const ofStore = STORE_NAMES.flatMap((name) => rowOf(name, place?.find(name)));
  const { path, state, denial, profiles, only } = settings;
  const limits = Object.entries(only).map(([rule, value]): SettingRow => ({
    name: `only.${rule}`,
    value,
    source: "settings file",
  }));
  return {
    path: path || undefined,
    state,
    profile,
    profiles: [...profiles.keys()],
    denial: denial && messageOf(denial),
    rows: [...ofOptions, ...ofStore, ...limits],
  };
}

function rowOf(name: SettingName, found: Found | Passed | undefined): SettingRow[] {
  if (found === undefined) return [];
  const { value, from } = found;
  const source = "because" in found ? `${from}, unused: ${found.because}` : from;
  const isSecret = optionRow(name).secret;
  return [isSecret ? { name: from, value: undefined, source } : { name, value, source }];
}
