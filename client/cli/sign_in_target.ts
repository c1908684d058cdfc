import type { PermissionNeed } from "../format_permissions.ts";
import { OPTION_NAMES, optionRow } from "../options/declaration.ts";
import { type OidcIdentity, resolveIdentity } from "../options/resolve_identity.ts";
import { preflight } from "../permissions/preflight.ts";
import { envNeeds } from "../permissions/start_needs.ts";
import type { SessionOptions } from "../session_options.ts";
import { chooseBackend, type ChosenBackend } from "./choose_backend.ts";
import type { FlagName, FlagValues } from "./flags.ts";
import { usageError } from "./cli_error.ts";

export const STORE_FLAGS = ["backend", "backend-options", "config"] as const;
function flagsOf(isMeant: (row: { group: string; flag?: string }) => boolean): FlagName[] {
  return OPTION_NAMES.map(optionRow).filter(isMeant).flatMap(({ flag }) =>
    flag ?? []
  ) as FlagName[];
}

/** The flags that name a sign-in at a provider as it is stored. */
export const IDENTITY_FLAGS: readonly FlagName[] = flagsOf(({ group, flag = "" }) =>
  group === "identity" && !["scope", "dpop"].includes(flag)
);

export const SIGN_IN_FLAGS: readonly FlagName[] = [
  ...flagsOf(({ group }) => group === "identity"),
  ...STORE_FLAGS,
];

/** All flags for options of a sign-in, in a program that calls an API or in none. */
export const OPTION_FLAGS: readonly FlagName[] = [...flagsOf(() => true), ...STORE_FLAGS];

/** Options of `createSession` that flags and the settings file give. Variables give the rest. */
export function sessionOptions(flags: FlagValues): SessionOptions {
  const { backend: _, backendOptions: _1, ...settings } = flags.settings.values;
  return { ...settings, ...givenOptions(flags) };
}

/** Options of `createSession` that the flags give. */
function givenOptions(flags: FlagValues): SessionOptions {
  const options: Record<string, unknown> = flags.has("no-open") ? { openBrowser: false } : {};
  for (const name of OPTION_NAMES) {
    const flag = optionRow(name).flag as FlagName | undefined;
    if (flag !== undefined && flags.has(flag)) options[name] = flags.text(flag) ?? true;
  }
  const parameters = flags.all("parameter");
  if (parameters.length > 0) options.authorizationParameters = parseParameters(parameters);
  return options;
}

/** The further parameters of the page of the sign-in. A value may have an equals sign in it. */
function parseParameters(texts: readonly string[]): Record<string, string> {
  const pairs = texts.map((text) => /^([^=]+)=(.*)$/s.exec(text)?.slice(1) ?? []);
  const isTwice = new Set(pairs.map(([name]) => name)).size < pairs.length;
  if (!isTwice && pairs.every(({ length }) => length === 2)) return Object.fromEntries(pairs);
  throw usageError(
    "Cannot use --parameter: a name is given twice, or its value is missing. Give each once as " +
      "--parameter NAME=VALUE, such as --parameter prompt=login.",
  );
}

/** Variables that identify a sign-in where the flags do not. They win over the settings file. */
export function identityNeeds(flags: FlagValues): PermissionNeed[] {
  return envNeeds(givenOptions(flags), "clear");
}

export interface SignInTarget extends AsyncDisposable {
  /** The sign-in and its backend; `undefined` if an API key takes their place. */
  readonly stored?: { readonly identity: OidcIdentity; readonly chosen: ChosenBackend };
}

/** Finds the sign-in that flags, variables and settings file name. */
export async function findTarget(flags: FlagValues, action: string): Promise<SignInTarget> {
  const options = sessionOptions(flags);
  const variables = identityNeeds(flags);
  await preflight(action, variables, "always");
  const identity = resolveIdentity(options, action);
  await using stack = new AsyncDisposableStack();
  if (identity.kind === "api_key") return stack.move();
  const chosen = stack.use(await chooseBackend(flags, action, variables));
  return Object.assign(stack.move(), { stored: { identity, chosen } });
}
