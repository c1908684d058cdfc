import { isGranted, isWindows } from "../common/platform.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";

const INTERPRETER =
  /^(deno|node|bun|python[\d.]*|ruby|perl|sh|bash|dash|zsh|fish|env|busybox|cmd|powershell|pwsh)(\.exe)?$/i;

/** Whether a program runs any code that its arguments name, so that a grant to run it is every grant. */
export function isInterpreter(program: string): boolean {
  return INTERPRETER.test(program.split(/[/\\]/).at(-1)!);
}

/** Whether a program is named by its path, and not looked for in `PATH`. */
export function isPath(program: string): boolean {
  return /[/\\]/.test(program);
}

/**
 * Refuses a program that would be found by a folder of `PATH` that is not absolute: it would come from
 * whatever folder somebody works in, such as a cloned repository.
 *
 * @throws {CredentialsBackendError} `backend_denied`, `permission_required`.
 */
export function assertTrustedProgram(program: string): void {
  if (isPath(program)) return;
  if (!isGranted({ name: "env", variable: "PATH" })) {
    throw new CredentialsBackendError(
      "permission_required",
      `Cannot run ${program}: Deno does not permit to read PATH, by which it is found. Run with ` +
        `--allow-env=PATH, or give its path as the option "program".`,
    );
  }
  const relative = foldersOfPath().find((folder) => !isAbsolute(folder));
  if (relative === undefined) return;
  throw new CredentialsBackendError(
    "backend_denied",
    `Cannot run ${program}: PATH has the relative folder "${relative}", from which a program of ` +
      `another person could come. Remove it from PATH, or give the program's path as the option ` +
      `"program".`,
  );
}

/** The path of a program for display; `undefined` where it is not found, or may not be looked for. */
export function pathOfProgram(program: string): string | undefined {
  if (isPath(program)) return realPath(program);
  if (!isGranted({ name: "env", variable: "PATH" })) return undefined;
  const names = isWindows ? [program, `${program}.exe`] : [program];
  for (const folder of foldersOfPath()) {
    for (const name of names) {
      const found = realPath(`${folder}${isWindows ? "\\" : "/"}${name}`);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

function foldersOfPath(): string[] {
  return (Deno.env.get("PATH") ?? "").split(isWindows ? ";" : ":");
}

/** Whether a path leads to one place, whatever the working directory. */
export function isAbsolute(path: string): boolean {
  return (isWindows ? /^([A-Za-z]:[/\\]|[/\\]{2})/ : /^\//).test(path);
}

/** Without a question: whoever shows a path can do without it. */
function realPath(path: string): string | undefined {
  if (!isGranted({ name: "read", path })) return undefined;
  try {
    return Deno.realPathSync(path);
  } catch {
    return undefined;
  }
}
