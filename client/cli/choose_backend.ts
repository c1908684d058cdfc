import { optionNeeds } from "../permissions/start_needs.ts";
import { readBackendChoice } from "../../backends/load/backend_choice.ts";
import { readFault } from "../../backends/common/printable.ts";
import { backendError } from "../../backends/common/describe_backend.ts";
import { assertRuntime, readEnvIfGranted } from "../../backends/common/platform.ts";
import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";
import {
  type BackendSpec,
  BUILT_IN_NAMES,
  parseBackendKwargs,
  parseBackendSpec,
} from "../../backends/load/backend_setting.ts";
import { createBackend } from "../../backends/load/create_backend.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import { resolveCredentialsBackend } from "../../backends/resolve_credentials_backend.ts";
import type { PermissionNeed } from "../permission_need.ts";
import { ensureSelection, preflight } from "../permissions/preflight.ts";
import type { Plan } from "./command.ts";
import type { FlagName, FlagValues } from "./flags.ts";
import type { Settings } from "./settings/settings.ts";
import { unknownWord, UsageError } from "./usage_error.ts";

export interface ChosenBackend extends Plan {
  readonly backend: OidcCredentialsBackend;
  /** Its built-in name, or the name of the export. */
  readonly name: string;
  /** The reason, as in "since {why}". */
  readonly why: string;
  /** Permissions for reading the choice. */
  needs(): readonly PermissionNeed[];
}

export interface BackendFlags {
  readonly name: FlagName;
  readonly options: FlagName;
}

const DEFAULT_FLAGS: BackendFlags = { name: "backend", options: "backend-options" };

/**
 * Chooses the backend that the flags name, else the one that the environment names, else the one of the
 * settings file, else the shared file. A flag replaces all variables that choose a backend, including `VM_OIDC_NO_PERSIST`. An error
 * about permissions also names the `known` ones, which are needed anyway.
 */
export async function chooseBackend(
  flags: FlagValues,
  action: string,
  known: readonly PermissionNeed[] = [],
  names: BackendFlags = DEFAULT_FLAGS,
): Promise<ChosenBackend> {
  assertRuntime(action);
  const { settings } = flags;
  const text = flags.text(names.name);
  const file = flags.text(names.options);
  if (text !== undefined) return await chooseNamed(text, file, action, known, names);
  if (file !== undefined) {
    throw new UsageError(
      `Cannot use --${names.options}: it belongs to --${names.name}, which is not given. Give both.`,
    );
  }
  if (settings.isExplicit && settings.used.includes("backend")) return await chooseSet(settings);
  const needs: PermissionNeed[] = [];
  await ensureSelection(async (more) => {
    needs.push(...more);
    await preflight(action, [...known, ...needs], "always");
  });
  if (settings.used.includes("backend")) return await chooseSet(settings, needs);
  const backend = await resolveCredentialsBackend();
  // Stays open: the process may use it again. It is closed when the process ends.
  const close = () => Promise.resolve();
  return { ...reasonForChoice(), backend, needs: () => needs, [Symbol.asyncDispose]: close };
}

/** The backend of the settings file. */
async function chooseSet(
  settings: Settings,
  needs: readonly PermissionNeed[] = [],
): Promise<ChosenBackend> {
  const [name, options] = ["backend", "backendOptions"].map((key) =>
    `"${key}" in "${settings.entryName}" of ${settings.path}`
  ) as [string, string];
  const spec = parseSpec(settings.text("backend")!, name);
  const text = JSON.stringify(settings.value("backendOptions") ?? {});
  const all = [...needs, ...optionNeeds(text)];
  const kwargs = parseBackendKwargs(text, options);
  const backend = await createBackend(spec, kwargs, { name, options });
  return {
    backend,
    name: nameOf(spec),
    why: "the settings file names it",
    needs: () => all,
    [Symbol.asyncDispose]: () => close(backend),
  };
}

async function chooseNamed(
  text: string,
  file: string | undefined,
  action: string,
  known: readonly PermissionNeed[],
  { name: flag, options }: BackendFlags,
): Promise<ChosenBackend> {
  const spec = parseSpec(text, `--${flag}`);
  const needs: PermissionNeed[] = file === undefined || file === "-"
    ? []
    : [{ name: "read", path: file, reason: "to read the backend's options", need: "always" }];
  await preflight(action, [...known, ...needs], "always");
  const given = file === undefined ? "{}" : await readInput(file, options);
  const ofOptions = optionNeeds(given);
  needs.push(...ofOptions);
  if (ofOptions.length > 0) await preflight(action, [...known, ...needs], "always");
  const kwargs = parseBackendKwargs(given, `--${options}`);
  const origin = { name: `--${flag}`, options: `--${options}` };
  const backend = await createBackend(spec, kwargs, origin);
  return {
    backend,
    name: nameOf(spec),
    why: `--${flag} names it`,
    needs: () => needs,
    [Symbol.asyncDispose]: () => close(backend),
  };
}

async function close(backend: OidcCredentialsBackend): Promise<void> {
  try {
    await backend.close?.();
  } catch (error) {
    throw backendError("close", backend, error);
  }
}

function parseSpec(text: string, place: string): BackendSpec {
  const isKnown = /[:#]/.test(text) || (BUILT_IN_NAMES as readonly string[]).includes(text);
  if (isKnown) return parseBackendSpec(text, place);
  throw unknownWord(text, place, BUILT_IN_NAMES, ", or <module>:<ExportName>");
}

/** Text of a file, or with `-` of standard input. */
async function readInput(file: string, flag: FlagName): Promise<string> {
  if (file === "-") return await new Response(Deno.stdin.readable).text();
  try {
    return await Deno.readTextFile(file);
  } catch (error) {
    const reason = readFault(error);
    throw new UsageError(`Cannot read the file ${file} of --${flag}: ${reason}. Check its path.`);
  }
}

function reasonForChoice(): { name: string; why: string } {
  const { name = "file", by, options } = readBackendChoice(readEnvIfGranted);
  if (by === undefined) return { name, why: "it is the default" };
  if (options === undefined) return { name, why: `${by} is set` };
  return { name: nameOf(parseBackendSpec(name, by)), why: `${by} names it` };
}

function nameOf(spec: BackendSpec): string {
  return spec.kind === "built-in" ? spec.name : spec.exportName;
}

/** Refuses a backend that keeps nothing once this program has ended. */
export function assertPersistent({ backend, name, why }: ChosenBackend, action: string): void {
  if (backend.persistent !== false) return;
  throw new CredentialsBackendError(
    "invalid_options",
    `Cannot ${action}: the backend ${name} keeps tokens only while this program runs (${why}). ` +
      `Choose one that keeps them.`,
  );
}
