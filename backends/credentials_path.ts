import { CredentialsBackendError } from "./credentials_backend_error.ts";
import { readEnv } from "./common/read_env.ts";

const isWindows = Deno.build.os === "windows";

/** The variable that names the home folder. */
export const HOME_VARIABLE = isWindows ? "USERPROFILE" : "HOME";

/**
 * The credentials file that this module shares with the ValidMind Python library:
 * `~/.validmind/credentials.json`. Touches no file.
 *
 * Needs `--allow-env=HOME` (`--allow-env=USERPROFILE` on Windows).
 *
 * @returns The absolute path.
 * @throws {CredentialsBackendError} `permission_required` when the variable may not be read;
 * `home_unset` when it is not set.
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
  // Not by @std/path, whose fourteen modules would be loaded in every start: see folderOf.
  const separator = isWindows ? "\\" : "/";
  const folder = home.replace(isWindows ? /[/\\]+$/ : /\/+$/, "");
  return [folder, ".validmind", "credentials.json"].join(separator);
}

/**
 * The folder that holds the file at `path`. Not by `@std/path`: every start needs it, and the fourteen
 * modules behind the two forms of `dirname` cost a start more than the credentials file itself.
 */
export function folderOf(path: string): string {
  const [, root = "", rest = ""] = (isWindows ? /^([A-Za-z]:[/\\]*|[/\\]*)(.*)$/s : /^(\/*)(.*)$/s)
    .exec(path) ?? [];
  const parent = rest.replace(isWindows ? /[/\\]*[^/\\]*[/\\]*$/ : /\/*[^/]*\/*$/, "");
  return `${root}${parent}` || ".";
}
