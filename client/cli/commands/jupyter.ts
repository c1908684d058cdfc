import { join } from "@std/path/join";
import { ensureDirSync } from "@std/fs/ensure-dir";
import { readFault } from "../../../backends/common/printable.ts";
import { openNeeds, preflight } from "../../permissions/preflight.ts";
import {
  type Command,
  EXIT,
  type Invocation,
  type Plan,
  printResult,
  simplePlan,
} from "../command.ts";
import type { FlagName, FlagValues } from "../flags.ts";
import {
  denoPath,
  FOLDER_VARIABLES,
  kernelsFolder,
  kernelSpec,
  PREFIX_VARIABLES,
} from "../jupyter/kernel_spec.ts";
import { readPolicy } from "../jupyter/policy.ts";
import { runKernel } from "../jupyter/run_kernel.ts";
import { assertOwnLog } from "../jupyter/trusted_file.ts";
import { UsageError } from "../usage_error.ts";

/** Flags of `jupyter kernel`, which a kernel specification gives. */
const OF_KERNEL: readonly FlagName[] = ["connection-file", "policy", "audit"];
/** Names of variables and of options that hold a secret. */
const SECRET = /SECRET|TOKEN|PASS|API_?KEY|CREDENTIAL(?!S_BACKEND)/i;
/** Options that say where a secret is, such as `tokenFile`. */
const PLACE = /(File|Path|Env)$/;

export const jupyterCommand: Command<Plan> = {
  name: "jupyter",
  summary: "install a Deno kernel for Jupyter, with variables and narrow permissions",
  details: [
    "install writes a kernel specification (kernel.json) into Jupyter's folder of this user, or " +
    "below --prefix or the active Python environment (--sys-prefix). --env gives the kernel a " +
    "variable, which wins over the server's; Jupyter expands ${HOME} in it. It is no place for a " +
    "secret. On Linux with setpriv the kernel ends with its server.",
    "With --narrow the kernel may use no more than it needs itself, what this module needs, and " +
    "what the JSON file of --policy grants in the form of a permission set, such as " +
    '{"read": ["."], "net": ["data.example.com:443"]}. A relative path is meant from the ' +
    "notebook's folder. Anything else is denied, with a line that names the rule to add. --audit " +
    "logs each question. Deno has every permission in a kernel without this.",
    "kernel is what such a specification runs.",
    "An interrupt ends a Deno kernel, unless its code listens for SIGINT, as this module does " +
    'while it waits for a sign-in. "interrupt_mode": "message" is not set: it wedges a waiting cell.',
  ],
  argument: { name: "step", choices: ["install", "kernel"] },
  flags: [
    "name",
    "display-name",
    "prefix",
    "sys-prefix",
    "env",
    "narrow",
    "policy",
    "audit",
    "replace",
    "dry-run",
    "connection-file",
    "json",
  ],
  examples: [
    "jupyter install --env VM_OIDC_ISSUER=https://login.example.com",
    "jupyter install --narrow --policy ~/policy.json --dry-run",
  ],
  action: "install the kernel",
  prepare: (flags) => simplePlan(() => installNeeds(flags)),
  async run(_, invocation) {
    const { argument, flags } = invocation;
    return argument === "kernel" ? await kernel(flags, invocation) : await install(invocation);
  },
};

function installNeeds(flags: FlagValues) {
  const isElsewhere = flags.has("prefix") || flags.has("sys-prefix");
  const variables = isElsewhere ? PREFIX_VARIABLES : FOLDER_VARIABLES;
  const path = kernelsFolder(flags.text("prefix"), flags.has("sys-prefix"));
  const reason = "to write the kernel specification";
  return [
    ...openNeeds(
      "optional",
      "to find Jupyter's folder",
      Object.fromEntries(variables.map((name) => [name, undefined])),
    ),
    { name: "read", path, reason, need: "always" } as const,
    { name: "write", path, reason, need: "always" } as const,
  ];
}

async function kernel(flags: FlagValues, { output }: Invocation): Promise<number> {
  const wrong = jupyterCommand.flags.find((name) => flags.has(name) && !OF_KERNEL.includes(name));
  if (wrong !== undefined) {
    throw new UsageError(`Cannot use --${wrong} with jupyter kernel: it belongs to install.`);
  }
  const connectionFile = flags.text("connection-file");
  if (connectionFile === undefined) {
    throw new UsageError(
      "Cannot start the kernel: --connection-file is missing. Jupyter gives it: run " +
        "jupyter install --narrow, and choose the kernel in Jupyter.",
    );
  }
  assertUnix();
  return await runKernel({
    connectionFile,
    policy: flags.text("policy"),
    audit: flags.text("audit"),
    deno: denoPath(),
    note: (text) => output.note(text),
  });
}

async function install(invocation: Invocation): Promise<number> {
  const { flags } = invocation;
  const isNarrow = flags.has("narrow");
  assertFlags(flags, isNarrow);
  if (isNarrow) assertUnix();
  const name = flags.text("name") ?? (isNarrow ? "deno-narrow" : "deno");
  if (!/^[\w.-]{1,100}$/.test(name) || /^\.+$/.test(name)) {
    throw new UsageError(
      "Cannot use --name: a kernel's name has letters, digits, - _ and . alone. Give another one.",
    );
  }
  const policy = absolute(flags.text("policy"));
  if (policy !== undefined) readPolicy(policy, "--policy");
  const audit = absolute(flags.text("audit"));
  if (audit !== undefined) assertOwnLog(audit, "--audit");
  const spec = kernelSpec({
    displayName: flags.text("display-name") ?? (isNarrow ? "Deno (narrow)" : "Deno"),
    env: environment(flags.all("env")),
    ...(isNarrow && { narrow: { policy, audit } }),
  });
  const folder = join(kernelsFolder(flags.text("prefix"), flags.has("sys-prefix")), name);
  const path = join(folder, "kernel.json");
  const text = `${JSON.stringify(spec, null, 2)}\n`;
  const isDry = flags.has("dry-run");
  if (!isDry) {
    await preflight(jupyterCommand.action, installNeeds(flags), "always");
    write(folder, path, text, flags.has("replace"));
  }
  const done = isDry ? `Would write ${path}:\n${text}` : `Wrote ${path}: choose the kernel ` +
    `"${spec.display_name}" in Jupyter.\n`;
  printResult(invocation, { path, written: !isDry, spec }, done);
  return EXIT.ok;
}

function assertFlags(flags: FlagValues, isNarrow: boolean): void {
  if (flags.has("connection-file")) {
    throw new UsageError("Cannot use --connection-file with jupyter install. Leave it out.");
  }
  const ofNarrow = (["policy", "audit"] as const).find((name) => flags.has(name));
  if (ofNarrow !== undefined && !isNarrow) {
    throw new UsageError(
      `Cannot use --${ofNarrow}: it belongs to --narrow, without which nothing is denied. Give both.`,
    );
  }
  if (flags.has("prefix") && flags.has("sys-prefix")) {
    throw new UsageError("Cannot use --prefix with --sys-prefix. Give one.");
  }
}

function assertUnix(): void {
  if (Deno.build.os !== "windows") return;
  throw new UsageError(
    "Cannot narrow a kernel on Windows: its broker needs a Unix socket. Call " +
      "Deno.permissions.revoke() in the first cell.",
  );
}

/** A specification can be read by everybody, so that a secret does not belong into it. */
function environment(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(pairs.map((pair) => {
    const [, name, value = ""] = /^([A-Za-z_]\w*)=(.*)$/s.exec(pair) ?? [];
    if (name === undefined) {
      throw new UsageError("Cannot use --env: give NAME=VALUE, with the name of a variable.");
    }
    if (SECRET.test(name) || holdsSecret(value)) {
      throw new UsageError(
        `Cannot use --env ${name}=…: it looks like a secret, and others can read a kernel ` +
          `specification. Set it in the environment of the server.`,
      );
    }
    return [name, value];
  }));
}

/** Whether a text is the JSON of options with a secret in it, rather than the variable that has it. */
function holdsSecret(text: string): boolean {
  let isFound = false;
  const look = (name: string, value: unknown) => {
    const isText = typeof value === "string" && !/^\$\{\w+\}$/.test(value);
    isFound ||= isText && SECRET.test(name) && !PLACE.test(name);
    return value;
  };
  try {
    JSON.parse(text, look);
  } catch {
    return false; // a plain text, which its variable's name tells of
  }
  return isFound;
}

function write(folder: string, path: string, text: string, isReplaced: boolean): void {
  try {
    ensureDirSync(folder);
    const temporary = join(folder, `.kernel.json.${Deno.pid}`);
    if (!isReplaced) {
      Deno.writeTextFileSync(path, text, { createNew: true, mode: 0o644 });
      return;
    }
    Deno.writeTextFileSync(temporary, text, { createNew: true, mode: 0o644 });
    Deno.renameSync(temporary, path); // a link is replaced, not followed
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) {
      throw new UsageError(
        `Cannot write ${path}: there is a kernel of this name. Give --replace, or another --name.`,
      );
    }
    throw new UsageError(
      `Cannot write ${path}: ${readFault(error)}. Check the folder, or give --prefix.`,
    );
  }
}

function absolute(path: string | undefined): string | undefined {
  if (path === undefined || path.startsWith("/") || Deno.build.os === "windows") return path;
  return `${Deno.cwd()}/${path.replace(/^\.\//, "")}`;
}
