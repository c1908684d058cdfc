import { resolve as resolveOnPosix } from "@std/path/posix/resolve";
import { toFileUrl as toFileUrlOnPosix } from "@std/path/posix/to-file-url";
import { resolve as resolveOnWindows } from "@std/path/windows/resolve";
import { toFileUrl as toFileUrlOnWindows } from "@std/path/windows/to-file-url";
import { hideQueries } from "../common/foreign_error.ts";
import { netHost } from "../common/host.ts";
import { isPathSpecifier, ofSystem, pathOfUrl } from "../common/paths.ts";
import { isGranted } from "../common/permission.ts";
import { printable } from "../common/printable.ts";
import { needDeno } from "../common/runtime.ts";
import type { BackendPermission } from "../oidc_credentials_backend.ts";

const resolve = ofSystem(resolveOnPosix, resolveOnWindows);
const toFileUrl = ofSystem(toFileUrlOnPosix, toFileUrlOnWindows);

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
