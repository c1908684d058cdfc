import { CredentialsBackendError } from "./credentials_backend_error.ts";
import { isWindows, readEnv } from "./common/platform.ts";

/** The variable that names the home folder. */
export const HOME_VARIABLE = isWindows ? "USERPROFILE" : "HOME";

/**
 * The credentials file that this module shares with the ValidMind Python library:
 * `~/.validmind/credentials.json`. Accesses no file.
 *
 * Needs `--allow-env=HOME` (`--allow-env=USERPROFILE` on Windows).
 *
 * @returns The absolute path.
 * @throws {CredentialsBackendError} `permission_required` when Deno denies the variable;
 * `home_unset` when it is not set.
 * @category Backends
 *
 * @example
 * ```ts
 * import { credentialsPath } from "@validmind/auth";
 * import { assert } from "@std/assert";
 *
 * assert(credentialsPath().includes(".validmind"));
 * ```
 */
export function credentialsPath(): string {
  const home = readEnv(HOME_VARIABLE, "find the credentials file");
  if (home === undefined) {
    throw new CredentialsBackendError(
      "home_unset",
      `Cannot find the credentials file: ${HOME_VARIABLE} is not set. ` +
        `Set it, or pass credentialsBackend: new FileCredentialsBackend({ path }).`,
    );
  }
  const separator = isWindows ? "\\" : "/";
  const folder = home.replace(isWindows ? /[/\\]+$/ : /\/+$/, "");
  return [folder, ".validmind", "credentials.json"].join(separator);
}

/**
 * The folder that holds the file at `path`.
 *
 * Every start calls this. The fourteen modules of `@std/path` for it would cost a start more than
 * reading the file.
 */
export function folderOf(path: string): string {
  const [, root = "", rest = ""] = (isWindows ? /^([A-Za-z]:[/\\]*|[/\\]*)(.*)$/s : /^(\/*)(.*)$/s)
    .exec(path) ?? [];
  const parent = rest.replace(isWindows ? /[/\\]*[^/\\]*[/\\]*$/ : /\/*[^/]*\/*$/, "");
  return `${root}${parent}` || ".";
}

/** The last part of a path. */
export function nameOf(path: string): string {
  return path.split(isWindows ? /[/\\]/ : "/").at(-1)!;
}
