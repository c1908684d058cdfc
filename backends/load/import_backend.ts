import { resolve as posixResolve } from "@std/path/posix/resolve";
import { toFileUrl as posixToFileUrl } from "@std/path/posix/to-file-url";
import { resolve as windowsResolve } from "@std/path/windows/resolve";
import { toFileUrl as windowsToFileUrl } from "@std/path/windows/to-file-url";
import { assertCredentialsBackend } from "../common/check_options.ts";
import { printable } from "../common/printable.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import type { OidcCredentialsBackend } from "../oidc_credentials_backend.ts";
import { foreignText, isPathSpecifier, type SettingOrigin, showSpec } from "./backend_setting.ts";

type Constructor = new (options: Record<string, unknown>) => unknown;

export async function importBackend(
  specifier: string,
  exportName: string,
  options: Record<string, unknown>,
  origin: SettingOrigin,
): Promise<OidcCredentialsBackend> {
  const place = showSpec(specifier);
  const module = await importModule(specifier, `${place} (${origin.name})`, options);
  const subject = `${exportName} from ${place} (${origin.name})`;
  if (!Object.hasOwn(module, exportName)) {
    const names = printable(Object.keys(module).join(", ")) || "nothing";
    const reason = `the module exports ${names}. Name one of its exports after the last colon.`;
    throw loadError("backend_export_missing", subject, reason);
  }
  const backend = construct(module[exportName], subject, options, origin);
  assertCredentialsBackend(backend, subject);
  return backend;
}

async function importModule(
  specifier: string,
  subject: string,
  options: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  const url = moduleUrl(specifier);
  try {
    return await import(url);
  } catch (error) {
    // A module that is denied something while it runs throws NotCapable: that is its own error.
    const denied = error instanceof TypeError &&
      /run again with the (--allow-\w+) flag/.exec(error.message);
    if (denied) {
      const reason = `Deno does not permit the import. Run with ${
        denied[1]
      }, narrowed to this module.`;
      throw loadError("permission_required", subject, reason);
    }
    const reason = "the module did not load. See the cause, and check the module's address.";
    throw loadError("backend_import_failed", subject, reason, foreignCause(error, options));
  }
}

/**
 * The address of a module that a setting names by an address or a path. A path is taken from the
 * working directory: `import()` itself would take it from this file.
 */
export function moduleUrl(
  specifier: string,
  isWindows: boolean = Deno.build.os === "windows",
): string {
  if (!isPathSpecifier(specifier)) return specifier;
  const url = isWindows
    ? windowsToFileUrl(windowsResolve(specifier))
    : posixToFileUrl(posixResolve(specifier));
  return url.href;
}

function construct(
  value: unknown,
  subject: string,
  options: Record<string, unknown>,
  origin: SettingOrigin,
): unknown {
  if (typeof value !== "function" || !isConstructible(value)) {
    throw loadError("backend_not_constructible", subject, "it is not a class. Export a class.");
  }
  try {
    return new (value as Constructor)(options);
  } catch (error) {
    if (error instanceof CredentialsBackendError) {
      throw new CredentialsBackendError(error.code, foreignText(error.message, options));
    }
    const reason = `its constructor failed. See the cause, and check ${origin.options}.`;
    throw loadError("backend_not_constructible", subject, reason, foreignCause(error, options));
  }
}

/** The error of a module by its name and message. Another part of it may be anything. */
function foreignCause(error: unknown, options: unknown): Error {
  if (!(error instanceof Error)) return new Error("no error object");
  return new Error(foreignText(`${error.name}: ${error.message}`, options));
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

function loadError(
  code: CredentialsBackendError["code"],
  subject: string,
  reason: string,
  cause?: Error,
): CredentialsBackendError {
  const message = `Cannot load the credentials backend ${subject}: ${reason}`;
  return new CredentialsBackendError(code, message, cause && { cause });
}
