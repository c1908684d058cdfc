import { printable } from "../../../backends/common/printable.ts";
import { resolveCredentialsBackend } from "../../../backends/resolve_credentials_backend.ts";
import { requiredPermissions } from "../../init.ts";
import type { PermissionNeed } from "../../permission_need.ts";
import { backendNeeds, selectionNeeds } from "../../permissions/preflight.ts";
import { UsageError } from "../usage_error.ts";
import { type BrokerRequest, PermissionBroker } from "./broker.ts";
import { dataFolder, moduleRoot, withDeathSignal } from "./kernel_spec.ts";
import { type Policy, policyOf, readPolicy } from "./policy.ts";
import { describeAccess, type Grantor, Rules, targetOf } from "./rules.ts";
import { openOwnLog } from "./trusted_file.ts";

export interface KernelRun {
  /** The connection file that Jupyter made. */
  readonly connectionFile: string;
  readonly policy?: string | undefined;
  /** Where each question is logged. */
  readonly audit?: string | undefined;
  /** The Deno that runs the kernel. */
  readonly deno: string;
  /** Writes a line for the person who runs the server. */
  note(text: string): void;
}

/** Denials on standard error: code in a loop must not fill the server's log. */
const MOST_LINES = 200;

/**
 * Runs Deno's kernel with the permissions that it needs itself, those that this module needs, and those
 * of the policy. Ends with the kernel; when it is killed, the kernel ends.
 *
 * @returns The kernel's exit code.
 */
export async function runKernel(run: KernelRun): Promise<number> {
  const { policy, audit, note } = run;
  const own: Grantor = { by: "this module", policy: await ownPolicy(note) };
  const rules = new Rules([
    { by: "the kernel", policy: { net: portsOf(run.connectionFile) } },
    own,
    ...(policy === undefined ? [] : [{ by: policy, policy: readPolicy(policy, "--policy") }]),
  ], guardedPaths(run));
  if (policy !== undefined) assertApart(policy, "--policy", own);
  if (audit !== undefined) assertApart(audit, "--audit", own);
  using log = audit === undefined ? undefined : openAudit(audit);
  using broker = new PermissionBroker();
  const child = spawnKernel(run, broker.path);
  // Jupyter signals the whole group: the kernel has got it, too, and this process goes on.
  Deno.addSignalListener("SIGINT", () => undefined);
  for (const signal of ["SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => kill(child, signal));
  }
  const told = new Set<string>();
  const decide = (request: BrokerRequest) => {
    const verdict = rules.decide(request, folderOfProcess(child.pid));
    const { datetime, permission, value } = request;
    const result = verdict.isAllowed ? "allow" : "deny";
    log?.write({ v: 1, datetime, permission, value, result, rule: verdict.rule });
    const reason = reasonOf(request, verdict.rule, policy);
    if (!verdict.isAllowed && told.size < MOST_LINES && !told.has(reason)) {
      told.add(reason);
      note(`${reason}\n`);
    }
    return { ...verdict, reason };
  };
  broker.serve(child.pid, decide).then((isProper) => {
    if (isProper) return;
    note("Cannot go on: the kernel's connection broke the protocol. The kernel is ended.\n");
    kill(child, "SIGKILL");
  }, () => kill(child, "SIGKILL"));
  return (await child.status).code;
}

function reasonOf(access: BrokerRequest, rule: string, policy: string | undefined): string {
  const remedy = /^no rule/.test(rule)
    ? ` ${
      policy === undefined
        ? "Name it in a policy: validmind-auth jupyter install --narrow --policy FILE"
        : `Name it under "${printable(access.permission, 20)}" in ${policy}, and restart the kernel`
    }.`
    : "";
  return `This kernel does not permit ${describeAccess(access)}: ${rule}.${remedy}`;
}

function spawnKernel(run: KernelRun, socket: string): Deno.ChildProcess {
  const { DENO_NO_PACKAGE_JSON: _, ...env } = Deno.env.toObject(); // set for this process alone
  const [command = "", ...args] = withDeathSignal("KILL", [
    run.deno,
    "jupyter",
    "--kernel",
    "--conn",
    run.connectionFile,
  ]);
  return new Deno.Command(command, {
    args,
    clearEnv: true,
    env: { ...env, DENO_PERMISSION_BROKER_PATH: socket },
    stdin: "null",
  }).spawn();
}

/** The working directory of the kernel, which its code may change; `undefined` where none can tell. */
function folderOfProcess(pid: number): string | undefined {
  if (Deno.build.os !== "linux") return undefined;
  try {
    return Deno.readLinkSync(`/proc/${pid}/cwd`);
  } catch {
    return "\0"; // no rule covers a path below it
  }
}

function kill(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch {
    // It has ended.
  }
}

/** The kernel's own ports, which Jupyter chose. */
function portsOf(connectionFile: string): string[] {
  try {
    const { ip, ...rest } = JSON.parse(Deno.readTextFileSync(connectionFile));
    const names = ["shell_port", "iopub_port", "stdin_port", "control_port", "hb_port"];
    return names.map((name) => `${ip}:${Number(rest[name])}`);
  } catch {
    throw new UsageError(
      `Cannot start the kernel: its connection file cannot be read. Start it by Jupyter.`,
    );
  }
}

/** All that this module may use in this environment, also where it is optional. */
async function ownPolicy(note: (text: string) => void): Promise<Policy> {
  const root = moduleRoot();
  const { env = [], ...rest } = policyOf(await ownNeeds(note)) as Record<string, string[]>;
  return {
    ...rest,
    // Deno tells the code that all is granted, so that it reads each variable it knows.
    env: [
      ...env,
      "VM_OIDC_*",
      "VM_API_*",
      "JUPYTERHUB_SERVICE_PREFIX",
      "SSH_CONNECTION",
      "SSH_TTY",
    ],
    read: [...rest.read ?? [], ...(root === undefined ? [] : [root])],
    import: [registryHost()],
    sys: ["uid"],
  };
}

async function ownNeeds(note: (text: string) => void): Promise<PermissionNeed[]> {
  try {
    return await requiredPermissions({}, { call: "createSession" });
  } catch (error) {
    const code = (error as { code?: string }).code ?? "unexpected";
    note(
      `The provider and the API are not known here (${code}): their hosts are granted only where a ` +
        `policy names them.\n`,
    );
  }
  try {
    return [...selectionNeeds(), ...backendNeeds(await resolveCredentialsBackend())];
  } catch {
    return selectionNeeds();
  }
}

function registryHost(): string {
  const { hostname, port, protocol } = new URL(Deno.env.get("JSR_URL") || "https://jsr.io");
  return `${hostname}:${port || (protocol === "https:" ? 443 : 80)}`;
}

/** What decides over the rules: policy, log, kernel specifications, and the code of this program. */
function guardedPaths({ policy, audit }: KernelRun): string[] {
  const root = moduleRoot();
  return [policy, audit, root, `${dataFolder() ?? "/nonexistent"}/kernels`].filter((path) =>
    path !== undefined
  );
}

/** A file in the folder of the tokens could not be guarded: this module writes there. */
function assertApart(file: string, place: string, { policy: own }: Grantor): void {
  const path = targetOf(file);
  const writes = Array.isArray(own.write) ? own.write : [];
  const folder = writes.map(targetOf).find((one) => path.startsWith(`${one}/`));
  if (folder === undefined) return;
  throw new UsageError(
    `Cannot use ${file} of ${place}: the notebook keeps its tokens in ${folder}, so its code could ` +
      `replace the file. Put it into another folder.`,
  );
}

/** A log in the form of Deno's own audit log with the result beside. */
function openAudit(path: string) {
  const file = openOwnLog(path, "--audit");
  return {
    write: (line: unknown) =>
      void file.writeSync(new TextEncoder().encode(`${JSON.stringify(line)}\n`)),
    [Symbol.dispose]: () => file.close(),
  };
}
