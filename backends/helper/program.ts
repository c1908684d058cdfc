import { readEnv } from "../common/environment.ts";
import { readText } from "../common/http_answer.ts";
import { faultOfPath, isProgramPath } from "../common/paths.ts";
import { isGranted, isNotCapable, permissionFlag } from "../common/permission.ts";
import { within } from "../common/promises.ts";
import { isWindows, killProcess } from "../common/runtime.ts";
import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "../credentials_backend_error.ts";

/** What an entry and a list of keys may take at most. */
const MAX_BYTES = 4 * 1024 * 1024;

/** A program, and how long one call of it may take. */
export interface Program {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>> | undefined;
  readonly timeoutMs: number;
}

/** What a program said, and how it ended. */
export interface Ended {
  readonly code: number;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program to its end, with a text on its standard input.
 *
 * @throws {CredentialsBackendError} `permission_required`, `backend_timeout`; `backend_denied` for a
 * program of a relative folder of `PATH`; `backend_unavailable` where it cannot be started.
 */
export async function runProgram(call: Program, action: string, input: string): Promise<Ended> {
  const { program, env, timeoutMs } = call;
  assertTrustedPath(program, env);
  const child = startProgram(call, action);
  const answer = (late: AbortSignal) =>
    Promise.all([
      child.status,
      // The pipe of a program that floods is closed. A child may hold the pipe beyond a program's end.
      readText(new Response(child.stdout), late, MAX_BYTES),
      readText(new Response(child.stderr), late, MAX_BYTES),
      // A program may end before it has read its input: its end tells more than the broken pipe.
      new Blob([input]).stream().pipeTo(child.stdin).catch(() => undefined),
    ]);
  const over = () =>
    new CredentialsBackendError("backend_timeout", {
      action: `${action} credentials by ${program}`,
      reason: `it did not end within ${timeoutMs} ms`,
      remedy: 'See whether it waits for a person, or raise the option "timeoutMs".',
    });
  try {
    const [{ code, signal }, stdout, stderr] = await within(timeoutMs, answer, over);
    return { code, signal, stdout, stderr };
  } catch (error) {
    await killProcess(child);
    throw error;
  }
}

/**
 * Refuses a folder of `PATH` that is not absolute.
 *
 * @throws {CredentialsBackendError} `backend_denied`, `permission_required`.
 */
function assertTrustedPath(program: string, env: Program["env"] = {}) {
  // On Windows the case of a name does not count.
  const isPath = (name: string) => name === "PATH" || isWindows && name.toUpperCase() === "PATH";
  const [, given] = Object.entries(env).find(([name]) => isPath(name)) ?? [];
  if (given === undefined && isProgramPath(program)) return;
  const reason = faultOfPath(given ?? readEnv("PATH", `find ${program}`));
  if (reason === undefined) return;
  throw new CredentialsBackendError("backend_denied", {
    action: `run ${program}`,
    reason,
    remedy: `Remove it from PATH, or give the program's path as the option "program".`,
  });
}

function startProgram({ program, args, env }: Program, action: string) {
  const pipes = { stdin: "piped", stdout: "piped", stderr: "piped" } as const;
  try {
    return new Deno.Command(program, { args: [...args, action], env, ...pipes }).spawn();
  } catch (error) {
    throw startError(`${action} credentials by ${program}`, program, error);
  }
}

function startError(action: string, program: string, error: unknown) {
  const fail = (code: CredentialsBackendErrorCode, reason: string, remedy: string) =>
    new CredentialsBackendError(code, { action, reason, remedy });
  if (error instanceof Deno.errors.NotFound) {
    const remedy =
      'Install it, or correct the option "program". Of a script check the first line, too.';
    return fail("backend_unavailable", "there is no such program that can be run", remedy);
  }
  if (!isNotCapable(error)) {
    const remedy = "Check that it is a program that you may execute.";
    return fail("backend_unavailable", "the operating system does not start it", remedy);
  }
  if (!isGranted({ name: "run", command: program })) {
    const remedy = `Run with ${permissionFlag("run", program)}.`;
    return fail("permission_required", "Deno does not permit to run it", remedy);
  }
  // Deno also denies a granted program if a variable would load other code into it. Its words alone name it.
  const [loader = "LD_…"] = /\b(LD|DYLD)_\w+/.exec(error.message) ?? [];
  return fail(
    "permission_required",
    `Deno does not start it with ${loader}, which loads other code`,
    `Unset it before this process starts, or set the option "env" to {"${loader}":""}.`,
  );
}
