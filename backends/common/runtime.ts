import { CredentialsBackendError, type ErrorParts } from "../credentials_backend_error.ts";

/** This release, as the API is told. A test compares it with deno.json. */
export const VERSION = "0.1.0";

export const isDeno: boolean = "Deno" in globalThis;

export const isWindows: boolean = isDeno && Deno.build.os === "windows";

/** The kernel of the notebook that this code runs in, if it runs in one. */
export function notebook(): typeof Deno.jupyter | undefined {
  try {
    return Deno.jupyter; // throws outside a kernel
  } catch {
    return undefined;
  }
}

export function writeError(text: string): void {
  if (isDeno) Deno.stderr.writeSync(new TextEncoder().encode(text));
  // deno-lint-ignore no-console -- Node ends a program whose `process.stderr` is closed at a write
  else console.error(text.replace(/\n$/, ""));
}

/** Shows a warning of a store. */
export function warnOnStderr(message: string): void {
  try {
    writeError(`@validmind/auth: ${message}\n`);
  } catch {
    // The action is done: a closed standard error must not make it a failure.
  }
}

/** Kills a process, whatever it does. */
export async function killProcess(child: Deno.ChildProcess): Promise<void> {
  try {
    child.kill("SIGKILL");
  } catch {
    // it has ended
  }
  await child.stdin.close().catch(() => undefined);
  await child.status;
}

/** Refuses a Deno that is too old. */
export function assertRuntime(action: string): void {
  if (isDeno && !("tryLockSync" in Deno.FsFile.prototype)) {
    const reason = `it needs Deno 2.7.1 or newer, and this is Deno ${Deno.version.deno}`;
    throw unsupported({ action, reason, remedy: "Run: deno upgrade" });
  }
}

/** Refuses Node and Bun, and a Deno that is too old. */
export function needDeno(action: string, instead = OTHER_STORES): void {
  if (!isDeno) throw unsupported({ action, reason: "it needs Deno", remedy: instead });
  assertRuntime(action);
}

const OTHER_STORES = "Pass another credentialsBackend: MemoryCredentialsBackend (or set " +
  "VM_OIDC_NO_PERSIST=1), or VaultCredentialsBackend.";

function unsupported(parts: ErrorParts) {
  return new CredentialsBackendError("runtime_unsupported", parts);
}

/** An argument as this system's shell takes it. */
export function quoteArgument(argument: string): string {
  const plain = isWindows ? /^[\w\-./:=,@%+\\]+$/ : /^[\w\-./:=,@%+]+$/;
  if (plain.test(argument)) return argument;
  return isWindows ? quoteWindows(argument) : quotePosix(argument);
}

/**
 * An argument in the double quotes of both shells. They take two quotes for one: after `\"` they would run the
 * rest as commands. So would PowerShell after a typographic quote, and within `$()`.
 */
export function quoteWindows(argument: string): string {
  return `"${argument.replaceAll('"', '""').replace(/[`$\u201c-\u201e]/g, "`$&")}"`;
}

/** An argument in the single quotes of a POSIX shell, and of fish, where a backslash counts in them. */
export function quotePosix(argument: string): string {
  return `'${argument.replace(/['\\]/g, "'\\$&'")}'`;
}
