import { join as joinPosix } from "@std/path/posix/join";
import { join as joinWindows } from "@std/path/windows/join";
import { CredentialsBackendError } from "./credentials_backend_error.ts";
import { readEnv } from "./read_env.ts";

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
  // The OS-neutral entry point of @std/path costs as much as the whole start: see design, section 9.
  const isWindows = Deno.build.os === "windows";
  const variable = isWindows ? "USERPROFILE" : "HOME";
  const home = readEnv(variable, "find the credentials file");
  if (home === undefined) {
    throw new CredentialsBackendError(
      "home_unset",
      `Cannot find the credentials file: ${variable} is not set. ` +
        `Set it, or pass credentialsBackend: new FileCredentialsBackend({ path }).`,
    );
  }
  return (isWindows ? joinWindows : joinPosix)(home, ".validmind", "credentials.json");
}
