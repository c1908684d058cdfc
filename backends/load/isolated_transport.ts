import { permissionFlag, readEnvIfGranted } from "../common/platform.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { namedVariables, permissionFlags } from "./isolate_options.ts";
import { processProgram, workerProgram } from "./isolated_host.ts";
import type { StartTransport, TransportEvents } from "./isolated_protocol.ts";

/** Longest frame in either direction, in characters for a Worker and in bytes for a process. */
export const LONGEST_FRAME: number = 4 * 1024 * 1024;

/** A Worker with permissions of its own, in this process. */
export function startWorker(permissions: Deno.PermissionOptionsObject): StartTransport {
  return ({ receive, fail }: TransportEvents) => {
    // Without --unstable-worker-options Deno ends the process here, with a message that says so.
    const worker = new Worker(workerProgram(), {
      type: "module",
      name: "credentials backend",
      deno: { permissions },
    });
    const failed = () => fail("backend_unavailable", "its Worker failed");
    worker.onmessage = ({ data }: MessageEvent<unknown>) => receive(data);
    worker.onmessageerror = failed;
    worker.onerror = (event) => {
      event.preventDefault();
      failed();
    };
    return {
      send: (frame) => worker.postMessage(frame),
      keepAlive: () => undefined, // a Worker always does
      end: () => Promise.resolve(worker.terminate()),
    };
  };
}

/**
 * A folder that cannot exist: Deno's stores of `localStorage` and `caches` fail in it. On Windows it
 * is inside a file, since Deno does not start where its folder is on no drive.
 */
const nowhere = () => Deno.build.os === "windows" ? `${Deno.execPath()}\\none` : "/dev/null/none";

/** The flags of every isolated process, before its permissions. */
const FLAGS = [
  "run",
  "--quiet",
  "--no-prompt",
  "--no-config",
  "--no-lock",
  "--no-npm",
  "--node-modules-dir=none",
  "--no-code-cache",
  "--deny-run",
  "--deny-sys",
  "--deny-ffi",
];

/** The variables by which Deno finds its cache of remote modules. */
const CACHE_VARIABLES = ["DENO_DIR", "HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "JSR_URL"];

/** A Deno of its own, with the flags and variables of its grant, which speaks on its pipes. */
export function startProcess(permissions: Deno.PermissionOptionsObject): StartTransport {
  return (events) => {
    const child = spawn(permissions);
    const writer = child.stdin.getWriter();
    const encoder = new TextEncoder();
    const gone = () => events.fail("backend_unavailable", "its process ended");
    const reading = readFrames(child.stdout, events)
      .catch(() => events.fail("backend_corrupt", "it sent text that is not UTF-8"));
    const ended = child.status.then(gone);
    return {
      send: (frame) => void writer.write(encoder.encode(`${frame}\n`)).catch(gone),
      keepAlive: (isKept) => isKept ? child.ref() : child.unref(),
      async end() {
        child.ref();
        kill(child);
        writer.abort().catch(() => undefined);
        await Promise.allSettled([ended, reading]);
      },
    };
  };
}

function kill(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

function spawn(permissions: Deno.PermissionOptionsObject): Deno.ChildProcess {
  const command = denoExecutable();
  try {
    return new Deno.Command(command, {
      args: processArguments(permissions),
      clearEnv: true,
      env: processVariables(permissions),
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
  } catch (error) {
    throw spawnError(error, command);
  }
}

/** The arguments of an isolated process. */
export function processArguments(permissions: Deno.PermissionOptionsObject): string[] {
  const flags = permissionFlags(permissions);
  const remote = importsRemote(flags) ? ["--cached-only"] : ["--no-remote", "--deny-import"];
  return [...FLAGS, ...remote, ...flags, processProgram()];
}

/** The whole environment of an isolated process. */
export function processVariables(
  permissions: Deno.PermissionOptionsObject,
): Record<string, string> {
  const forCache = importsRemote(permissionFlags(permissions))
    ? Object.fromEntries(
      CACHE_VARIABLES.map((name) => [name, readEnvIfGranted(name)]).filter(([, value]) => value),
    )
    : { DENO_DIR: nowhere() };
  const system = Deno.build.os === "windows" ? readEnvIfGranted("SystemRoot") : undefined;
  return {
    ...(system !== undefined && { SystemRoot: system, TEMP: nowhere(), TMP: nowhere() }),
    TMPDIR: nowhere(),
    NO_COLOR: "1",
    DENO_NO_PACKAGE_JSON: "1",
    DENO_NO_UPDATE_CHECK: "1",
    ...forCache,
    ...namedVariables(permissions),
  };
}

function importsRemote(flags: readonly string[]): boolean {
  return flags.some((flag) => flag.startsWith("--allow-import"));
}

/** The Deno that runs this program. A compiled program has none: it would start itself again. */
export function denoExecutable(
  command: string = Deno.execPath(),
  isCompiled: boolean = Deno.build.standalone,
): string {
  if (!isCompiled && /[/\\]deno[^/\\]*$/i.test(command)) return command;
  throw new CredentialsBackendError(
    "backend_unavailable",
    "Cannot start the isolated credentials backend: a compiled program has no Deno executable. " +
      'Use isolate: { as: "worker" }, or run the program with deno.',
  );
}

function spawnError(error: unknown, command: string): unknown {
  if (!(error instanceof Deno.errors.NotCapable)) {
    if (error instanceof CredentialsBackendError) return error;
    return new CredentialsBackendError(
      "backend_unavailable",
      `Cannot start the isolated credentials backend: ${command} does not run. See the cause.`,
      { cause: error },
    );
  }
  return new CredentialsBackendError(
    "permission_required",
    "Cannot start the isolated credentials backend: this program may not run Deno. Run with " +
      `${
        permissionFlag("run", command)
      }, which amounts to every permission for this program, or use ` +
      'isolate: { as: "worker" }.',
  );
}

/** Cuts the output of a process into frames. A frame over the limit ends the process. */
async function readFrames(
  output: ReadableStream<Uint8Array>,
  { receive, fail }: TransportEvents,
): Promise<void> {
  let parts: Uint8Array[] = [];
  let size = 0;
  const decoder = new TextDecoder("utf-8", { fatal: true });
  for await (const chunk of output) {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      const last = chunk.subarray(start, end);
      start = end + 1;
      if (size + last.length > LONGEST_FRAME) return tooLong(fail);
      const frame = new Uint8Array(await new Blob([...parts, last] as BlobPart[]).arrayBuffer());
      parts = [];
      size = 0;
      receive(decoder.decode(frame));
    }
    const rest = chunk.subarray(start);
    parts.push(rest);
    size += rest.length;
    if (size > LONGEST_FRAME) return tooLong(fail);
  }
}

function tooLong(fail: TransportEvents["fail"]): void {
  fail("backend_corrupt", `it sent more than ${LONGEST_FRAME} bytes at once`);
}
