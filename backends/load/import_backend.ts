import { resolve as resolveOnPosix } from "@std/path/posix/resolve";
import { toFileUrl as toFileUrlOnPosix } from "@std/path/posix/to-file-url";
import { resolve as resolveOnWindows } from "@std/path/windows/resolve";
import { toFileUrl as toFileUrlOnWindows } from "@std/path/windows/to-file-url";
import { assertCredentialsBackend } from "../common/describe_backend.ts";
import { causeFrom, hideQueries } from "../common/foreign_error.ts";
import { netHost } from "../common/host.ts";
import { isPathSpecifier, ofSystem, pathOfUrl } from "../common/paths.ts";
import { isGranted, isNotCapable, permissionFlag } from "../common/permission.ts";
import { printable } from "../common/printable.ts";
import { needDeno } from "../common/runtime.ts";
import { wrapBackend } from "../common/wrap_backend.ts";
import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "../credentials_backend_error.ts";
import type { BackendPermission } from "../oidc_credentials_backend.ts";

const resolve = ofSystem(resolveOnPosix, resolveOnWindows);
const toFileUrl = ofSystem(toFileUrlOnPosix, toFileUrlOnWindows);

/** The places from which a setting was read, for errors: two variables, or two flags. */
export interface SettingOrigin {
  readonly name: string;
  readonly options: string;
}

/** The export of a module. */
export interface ModuleSpec {
  readonly specifier: string;
  readonly exportName: string;
}

/** Options from JSON: a name stands where the class takes a backend. Each class checks its own. */
export type Options = Record<string, unknown>;

/** A backend of a third party, from its module. */
export async function importBackend(
  { specifier, exportName }: ModuleSpec,
  options: Options,
  origin: SettingOrigin,
) {
  const source = `${showSpec(specifier)} (${origin.name})`;
  const subject = `${exportName} from ${source}`;
  const url = moduleUrl(specifier);
  const module = await importModule(url, source, options);
  if (!Object.hasOwn(module, exportName)) {
    const names = printable(Object.keys(module).join(", ")) || "nothing";
    const remedy = "Name one of its exports after the last colon.";
    throw loadError("backend_export_missing", subject, `the module exports ${names}`, remedy);
  }
  const Backend = module[exportName];
  if (typeof Backend !== "function") {
    throw loadError("backend_not_constructible", subject, "it is not a class", "Export a class.");
  }
  let backend: unknown;
  try {
    backend = new (Backend as new (options: Options) => unknown)(options);
  } catch (error) {
    if (isNotCapable(error)) throw denial(subject, "its constructor", error);
    const cause = causeFrom(error, textsIn(options));
    if (cause instanceof CredentialsBackendError) throw cause;
    const remedy = `See the cause, and check ${origin.options}.`;
    const reason = "its constructor failed";
    throw loadError("backend_not_constructible", subject, reason, remedy, cause);
  }
  assertCredentialsBackend(backend, subject);
  const own = backend;
  return wrapBackend(own, {
    requiredPermissions: () => [
      ...moduleNeeds(url),
      ...own.requiredPermissions?.() ?? [],
    ],
  });
}

async function importModule(
  url: string,
  source: string,
  options: Options,
): Promise<Record<string, unknown>> {
  try {
    return await import(url);
  } catch (error) {
    // A module that is denied something while it runs throws NotCapable: that is its own error.
    if (error instanceof TypeError && DENIED.test(error.message)) {
      throw denial(source, "the import", error);
    }
    const remedy = "See the cause, and check its path or its address.";
    const cause = causeFrom(error, textsIn(options));
    throw loadError("backend_import_failed", source, "the module did not load", remedy, cause);
  }
}

/** The only trace of a denied import, and of what an access was denied to. */
const DENIED = /(?:access to "([^"]+)", )?run again with the --allow-(\w+) flag/;

function denial(subject: string, what: string, { message }: Error) {
  const [, target = "", kind = ""] = DENIED.exec(message) ?? [];
  const flag = permissionFlag(kind, showSpec(target)).replace(/=$/, "");
  const remedy = `Run with ${flag}; requiredPermissions() with -A names all flags.`;
  return loadError("permission_required", subject, `Deno does not permit ${what}`, remedy);
}

function loadError(
  code: CredentialsBackendErrorCode,
  subject: string,
  reason: string,
  remedy: string,
  cause?: Error,
) {
  const action = `load the credentials backend ${subject}`;
  return new CredentialsBackendError(code, { action, reason, remedy, cause });
}

/** The texts in options, which may be secrets. */
function textsIn(value: unknown): string[] {
  if (typeof value !== "string") return Object.values(Object(value)).flatMap(textsIn);
  return [value].filter((text) => text.length >= 4);
}

/**
 * The address of a module that a setting names by an address or a path. A path is taken from the
 * working directory: `import()` itself would take it from this file.
 */
export function moduleUrl(specifier: string): string {
  if (!isPathSpecifier(specifier)) return specifier;
  // Elsewhere nothing tells the working directory.
  if (specifier.startsWith(".")) needDeno(`find ${showSpec(specifier)}`, "Name its whole path.");
  return toFileUrl(resolve(specifier)).href;
}

/** A backend's name, or the specifier in it, for an error. A query may hold a token. */
export function showSpec(spec: string): string {
  return printable(hideQueries(spec.slice(0, 1000)));
}

/**
 * The files and addresses that a module's text imports, lazily too. A line that begins with `import type`
 * loads nothing.
 */
const IMPORTS =
  /(?:^\s*(?:import|export)(?!\s+type\b)\s*(?:[^"';]*?\bfrom\s*)?|\bimport\s*\(\s*)["']((?:\.{0,2}\/|https?:|file:)[^"'\n]+)["']/gm;

/**
 * The permissions for the import of a module and of all that its files name, as far as this process has
 * them: a module that is loaded already needs none.
 */
export function moduleNeeds(url: string, seen: Set<string> = new Set()): BackendPermission[] {
  if (seen.has(url)) return [];
  seen.add(url);
  if (/^https?:/.test(url)) {
    // Deno's flag replaces the hosts that it allows by itself, from one of which this package comes.
    const hosts = [netHost(new URL(url)), "jsr.io:443"];
    return hosts.map((host) => ({ name: "import", host } as const)).filter(isGranted);
  }
  const path = pathOfUrl(new URL(url));
  if (path === undefined || !isGranted({ name: "read", path })) return [];
  try {
    const imports = Deno.readTextFileSync(path).matchAll(IMPORTS);
    const needs = imports.flatMap(([, name]) => moduleNeeds(new URL(name!, url).href, seen));
    return [{ name: "read", path }, ...needs];
  } catch {
    return []; // an import that is only in a comment
  }
}
