import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";
import { createBackend } from "../../backends/load/create_backend.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import {
  BACKEND_VARIABLE,
  type BackendSpec,
  BUILT_IN_NAMES,
  parseBackendKwargs,
  parseBackendSpec,
} from "../../backends/load/backend_setting.ts";
import { parseFlag, readEnvIfGranted } from "../../backends/common/read_env.ts";
import { resolveCredentialsBackend } from "../../backends/resolve_credentials_backend.ts";
import type { PermissionNeed } from "../permission_need.ts";
import { ensureSelection, preflight } from "../permissions/preflight.ts";
import type { FlagName, FlagValues } from "./flags.ts";
import { nearestWord } from "./nearest_word.ts";
import { shown } from "./parse_command_line.ts";
import { readInput } from "./read_input.ts";
import { UsageError } from "./usage_error.ts";

/** A backend, and how it came to be the one. */
export interface ChosenBackend extends AsyncDisposable {
  readonly backend: OidcCredentialsBackend;
  /** Its built-in name, or that of the export. */
  readonly name: string;
  /** What chose it, in words. */
  readonly why: string;
  /** What the choice needed of Deno. */
  readonly needs: readonly PermissionNeed[];
}

/** Names of the flags that choose a backend. */
export interface BackendFlags {
  readonly name: FlagName;
  readonly options: FlagName;
}

const DEFAULT_FLAGS: BackendFlags = { name: "backend", options: "backend-options" };

/**
 * The backend that the flags name, else the one that the environment names, else the shared file. A
 * flag takes the place of all variables that choose one, of `VM_OIDC_NO_PERSIST` too.
 *
 * @param action What cannot be done without it, as in "Cannot {action}".
 * @param known What is needed anyway: told together with what the choice needs.
 */
export async function chooseBackend(
  flags: FlagValues,
  action: string,
  known: readonly PermissionNeed[] = [],
  names: BackendFlags = DEFAULT_FLAGS,
): Promise<ChosenBackend> {
  const text = flags.text(names.name);
  const file = flags.text(names.options);
  if (text !== undefined) return await named(text, file, action, known, names);
  if (file !== undefined) {
    throw new UsageError(
      `Cannot use --${names.options}: it belongs to --${names.name}, which is not given. Give both.`,
    );
  }
  const needs: PermissionNeed[] = [];
  await ensureSelection(async (more) => {
    needs.push(...more);
    await preflight(action, [...known, ...needs], "always");
  });
  const backend = await resolveCredentialsBackend();
  // Not closed: the process may use it again, and its end closes it.
  return { ...whyChosen(), backend, needs, [Symbol.asyncDispose]: () => Promise.resolve() };
}

async function named(
  text: string,
  file: string | undefined,
  action: string,
  known: readonly PermissionNeed[],
  { name: flag, options }: BackendFlags,
): Promise<ChosenBackend> {
  const spec = parseSpec(text, flag);
  const needs: PermissionNeed[] = file === undefined || file === "-"
    ? []
    : [{ name: "read", path: file, reason: "to read the backend's options", need: "always" }];
  await preflight(action, [...known, ...needs], "always");
  const kwargs = file === undefined
    ? {}
    : parseBackendKwargs(await readInput(file), `--${options}`);
  const backend = await createBackend(spec, kwargs);
  const why = `--${flag} names it`;
  const close = async () => await backend.close?.();
  return { name: nameOf(spec), why, backend, needs, [Symbol.asyncDispose]: close };
}

function parseSpec(text: string, flag: FlagName): BackendSpec {
  if (/[:#]/.test(text)) return parseBackendSpec(text, `--${flag}`);
  if ((BUILT_IN_NAMES as readonly string[]).includes(text)) return parseBackendSpec(text);
  const near = nearestWord(text, BUILT_IN_NAMES);
  throw new UsageError(
    `Cannot use ${shown(text, "that value")} as --${flag}: there is no such backend. ` +
      (near === undefined ? "" : `Did you mean ${near}? `) +
      `It takes ${BUILT_IN_NAMES.join(", ")}, or <module>:<ExportName>.`,
  );
}

function whyChosen(): { name: string; why: string } {
  const variable = "VM_OIDC_NO_PERSIST";
  if (parseFlag(variable, readEnvIfGranted(variable))) {
    return { name: "memory", why: `${variable} is set` };
  }
  const text = readEnvIfGranted(BACKEND_VARIABLE);
  if (text === undefined) return { name: "file", why: "it is the default" };
  return { name: nameOf(parseBackendSpec(text)), why: `${BACKEND_VARIABLE} names it` };
}

function nameOf(spec: BackendSpec): string {
  return spec.kind === "built-in" ? spec.name : spec.exportName;
}

/**
 * Refuses a backend in which nothing would be left once this program has ended.
 *
 * @param action What would be lost, as in "Cannot {action}".
 */
export function assertPersistent({ backend, name, why }: ChosenBackend, action: string): void {
  if (backend.persistent !== false) return;
  throw new CredentialsBackendError(
    "invalid_options",
    `Cannot ${action}: the backend ${name} keeps tokens only while this program runs (${why}). ` +
      `Choose one that keeps them.`,
  );
}
