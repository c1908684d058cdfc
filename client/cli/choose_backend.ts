import type { PermissionNeed } from "../format_permissions.ts";
import { backendError } from "../../backends/common/describe_backend.ts";
import { assertRuntime, readEnvIfGranted } from "../../backends/common/platform.ts";
import { readPrivateFile } from "../../backends/common/read_private_file.ts";
import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";
import {
  type BackendSpec,
  BUILT_IN_NAMES,
  parseBackendKwargs,
  parseBackendSpec,
  type SettingOrigin,
} from "../../backends/load/backend_setting.ts";
import { readBackendChoice } from "../../backends/load/backend_choice.ts";
import { createBackend } from "../../backends/load/create_backend.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import { resolveCredentialsBackend } from "../../backends/resolve_credentials_backend.ts";
import { preflight } from "../permissions/preflight.ts";
import { ensureSelection, optionNeeds } from "../permissions/start_needs.ts";
import type { FlagName, FlagValues } from "./flags.ts";
import { LARGEST_BYTES, type Settings, WRITABLE_FOR_OTHERS } from "./settings.ts";
import { unknownWord, UsageError } from "./usage_error.ts";

export interface ChosenBackend extends AsyncDisposable {
  readonly backend: OidcCredentialsBackend;
  /** Its built-in name, or the name of the export. */
  readonly name: string;
  /** The reason, as in "since {why}". */
  readonly why: string;
  /** Permissions for reading the choice. */
  needs(): readonly PermissionNeed[];
}

interface BackendFlags {
  readonly name: FlagName;
  readonly options: FlagName;
}

const DEFAULT_FLAGS: BackendFlags = { name: "backend", options: "backend-options" };

/** A backend by its name, with the places from which name and options were read. */
interface Named {
  readonly name: string;
  readonly options: string;
  readonly origin: SettingOrigin;
  readonly why: string;
}

/**
 * Chooses the backend that the flags name, else the one that the environment names, else the one of the
 * settings file, else the shared file. A flag replaces all variables that choose a backend, including
 * `VM_OIDC_NO_PERSIST`. An error about permissions also names the `known` ones, which are needed anyway.
 */
export async function chooseBackend(
  flags: FlagValues,
  action: string,
  known: readonly PermissionNeed[] = [],
  names: BackendFlags = DEFAULT_FLAGS,
): Promise<ChosenBackend> {
  assertRuntime(action);
  const needs: PermissionNeed[] = [];
  const ensure = async (more: readonly PermissionNeed[]) => {
    needs.push(...more);
    await preflight(action, [...known, ...needs], "always");
  };
  const { settings } = flags;
  let named = await namedByFlags(flags, names, ensure);
  if (named === undefined && !settings.isTyped) await ensureSelection(ensure);
  named ??= namedBySettings(settings);
  if (named === undefined) {
    if (settings.isTyped) await ensureSelection(ensure);
    const backend = await resolveCredentialsBackend();
    // Stays open: the process may use it again. It is closed when the process ends.
    const close = () => Promise.resolve();
    return { ...reasonForChoice(), backend, needs: () => needs, [Symbol.asyncDispose]: close };
  }
  const { name, options, origin, why } = named;
  const isKnown = /[:#]/.test(name) || (BUILT_IN_NAMES as readonly string[]).includes(name);
  if (!isKnown) throw unknownWord(name, origin.name, BUILT_IN_NAMES, ", or <module>:<ExportName>");
  const spec = parseBackendSpec(name, origin.name);
  await ensure(optionNeeds(options));
  const backend = await createBackend(spec, parseBackendKwargs(options, origin.options), origin);
  return {
    backend,
    name: nameOf(spec),
    why,
    needs: () => needs,
    [Symbol.asyncDispose]: () => close(backend),
  };
}

async function namedByFlags(
  flags: FlagValues,
  { name, options }: BackendFlags,
  ensure: (needs: readonly PermissionNeed[]) => Promise<void>,
): Promise<Named | undefined> {
  const text = flags.text(name);
  const file = flags.text(options);
  if (text === undefined && file === undefined) return undefined;
  if (text === undefined) {
    const reason = `it belongs to --${name}, which is not given. Give both.`;
    throw new UsageError(`Cannot use --${options}: ${reason}`);
  }
  if (file !== undefined && file !== "-") {
    await ensure([
      { name: "read", path: file, reason: "to read the backend's options", need: "always" },
    ]);
  }
  return {
    name: text,
    options: file === undefined ? "{}" : await readInput(file, options),
    origin: { name: `--${name}`, options: `--${options}` },
    why: `--${name} names it`,
  };
}

function namedBySettings({ values, profile, path }: Settings): Named | undefined {
  const { backend, backendOptions = {} } = values;
  if (backend === undefined) return undefined;
  const place = `${profile === undefined ? "" : `of profile ${profile} `}in ${path}`;
  return {
    name: `${backend}`,
    options: JSON.stringify(backendOptions),
    origin: { name: `"backend" ${place}`, options: `"backendOptions" ${place}` },
    why: "the settings file names it",
  };
}

async function close(backend: OidcCredentialsBackend): Promise<void> {
  try {
    await backend.close?.();
  } catch (error) {
    throw backendError("close", backend, error);
  }
}

/** Text of a file, or with `-` of standard input. */
async function readInput(path: string, flag: FlagName): Promise<string> {
  if (path === "-") return await new Response(Deno.stdin.readable).text();
  return readPrivateFile(path, {
    what: "a file of options",
    maxBytes: LARGEST_BYTES,
    forbiddenMode: WRITABLE_FOR_OTHERS,
    fail: (reason, advice) =>
      new UsageError(`Cannot read the file ${path} of --${flag}: ${reason}. ${advice}`),
  });
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
