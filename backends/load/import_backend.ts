import { isWindows, needDeno } from "../common/platform.ts";
import { printable } from "../common/printable.ts";
import {
  assertCredentialsBackend,
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "../credentials_backend_error.ts";
import type { OidcCredentialsBackend } from "../oidc_credentials_backend.ts";
import { foreignText, isPathSpecifier, type SettingOrigin, showSpec } from "./backend_setting.ts";

type Constructor = new (options: Record<string, unknown>) => unknown;

/** A backend's module and export, as a setting names them. */
export interface ModuleBackend {
  readonly specifier: string;
  readonly exportName: string;
  readonly options: Record<string, unknown>;
  readonly origin: SettingOrigin;
}

/** The steps of loading, in order. */
export const LOAD_STEPS = ["import", "export", "class", "construct"] as const;

/** A failed step of loading, in facts. */
export interface LoadFault {
  readonly step: typeof LOAD_STEPS[number];
  readonly name?: string;
  readonly message?: string;
  /** The code, where it is a coded error of this module. */
  readonly code?: CredentialsBackendErrorCode;
  /** The exports of the module, separated by commas. */
  readonly exports?: string;
}

export async function importBackend(
  specifier: string,
  exportName: string,
  options: Record<string, unknown>,
  origin: SettingOrigin,
): Promise<OidcCredentialsBackend> {
  const named = { specifier, exportName, options, origin };
  const module = await importModule(named);
  if (!Object.hasOwn(module, exportName)) {
    throw loadFault({ step: "export", exports: Object.keys(module).join(", ") }, named);
  }
  const backend = construct(module[exportName], named);
  assertCredentialsBackend(backend, subjectOf(named));
  return backend;
}

/** The backend in words, for an error. */
export function subjectOf({ specifier, exportName, origin }: ModuleBackend): string {
  return `${exportName} from ${showSpec(specifier)} (${origin.name})`;
}

async function importModule(named: ModuleBackend): Promise<Record<string, unknown>> {
  const url = moduleUrl(named.specifier);
  try {
    return await import(url);
  } catch (error) {
    throw loadFault({ step: "import", ...factsOf(error) }, named);
  }
}

/**
 * The address of a module that a setting names by an address or a path. A path is taken from the
 * working directory: `import()` itself would take it from this file.
 */
export function moduleUrl(
  specifier: string,
  onWindows: boolean = isWindows,
): string {
  // Node and Bun import a package by its bare name only, which a setting cannot hold.
  if (/^(npm|jsr):/.test(specifier)) {
    needDeno(`load ${showSpec(specifier)}`, "Name the whole path of the module.");
  }
  if (!isPathSpecifier(specifier)) return specifier;
  // Elsewhere nothing tells the working directory.
  if (specifier.startsWith(".")) needDeno(`find ${showSpec(specifier)}`, "Name its whole path.");
  return urlOfPath(specifier, onWindows).href;
}

/**
 * Deno reads each module behind an `import()` ahead of every start. The eleven of `@std/path` for this
 * cost each start 3 %, and `node:url` takes longer to load than a start.
 */
function urlOfPath(path: string, onWindows: boolean): URL {
  const text = onWindows
    ? path.replaceAll("\\", "/").replace(/(?<!^)\/+/g, "/") // two at the beginning name a host
    : path.replace(/\/+/g, "/");
  const encoded = text.replace(/[%?#\\\s]/g, encodeURIComponent);
  if (onWindows && /^[A-Za-z]:/.test(text)) return new URL(`file:///${encoded}`);
  if (!onWindows && text.startsWith("/")) return new URL(`file://${encoded}`);
  return new URL(encoded, urlOfPath(`${Deno.cwd()}/`, isWindows));
}

function construct(value: unknown, named: ModuleBackend): unknown {
  if (typeof value !== "function" || !isConstructible(value)) {
    throw loadFault({ step: "class" }, named);
  }
  try {
    return new (value as Constructor)(named.options);
  } catch (error) {
    const code = error instanceof CredentialsBackendError ? { code: error.code } : {};
    throw loadFault({ step: "construct", ...factsOf(error), ...code }, named);
  }
}

/** The name and message of a module's error. Another part of it may be anything. */
function factsOf(error: unknown): { name?: string; message?: string } {
  return error instanceof Error ? { name: error.name, message: error.message } : {};
}

/** Asks whether `new` would be accepted, without running the constructor. */
function isConstructible(value: object): boolean {
  try {
    Reflect.construct(Object, [], value as Constructor);
    return true;
  } catch {
    return false;
  }
}

/**
 * The error for a failed step of loading.
 */
export function loadFault(
  { step, name, message, code, exports }: LoadFault,
  named: ModuleBackend,
): CredentialsBackendError {
  const subject = step === "import"
    ? `${showSpec(named.specifier)} (${named.origin.name})`
    : subjectOf(named);
  const text = message === undefined ? "no error object" : `${name}: ${message}`;
  const cause = new Error(foreignText(text, named.options));
  switch (step) {
    case "import":
      return isMissing(named, message)
        ? loadError(
          "backend_import_failed",
          subject,
          "there is no such module. Check its path or its address.",
          cause,
        )
        : importError(subject, name === "TypeError" ? message : undefined, cause);
    case "export": {
      const names = printable(exports ?? "") || "nothing";
      const reason = `the module exports ${names}. Name one of its exports after the last colon.`;
      return loadError("backend_export_missing", subject, reason);
    }
    case "class":
      return loadError("backend_not_constructible", subject, "it is not a class. Export a class.");
    case "construct": {
      if (code !== undefined) {
        return new CredentialsBackendError(code, foreignText(message ?? "", named.options));
      }
      const reason = `its constructor failed. See the cause, and check ${named.origin.options}.`;
      return loadError("backend_not_constructible", subject, reason, cause);
    }
  }
}

/** Whether the module itself is not there, rather than one that it imports. Chooses words alone. */
function isMissing({ specifier }: ModuleBackend, message = ""): boolean {
  return message.includes(`not found "${moduleUrl(specifier)}"`);
}

/** @param message The text of a TypeError: Deno throws one where it does not permit the import. */
function importError(
  subject: string,
  message: string | undefined,
  cause: Error,
): CredentialsBackendError {
  // A module that is denied something while it runs throws NotCapable: that is its own error.
  const denied = /run again with the --allow-(\w+) flag/.exec(message ?? "");
  if (denied === null) {
    const reason = "the module did not load. See the cause, and check the module's address.";
    return loadError("backend_import_failed", subject, reason, cause);
  }
  return loadError(
    "permission_required",
    subject,
    `Deno does not permit the import. Run with --allow-${denied[1]}, narrowed to this module.`,
  );
}

function loadError(
  code: CredentialsBackendErrorCode,
  subject: string,
  reason: string,
  cause?: Error,
): CredentialsBackendError {
  const message = `Cannot load the credentials backend ${subject}: ${reason}`;
  return new CredentialsBackendError(code, message, cause && { cause });
}
