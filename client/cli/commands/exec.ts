import { readEnv } from "../../../backends/common/environment.ts";
import { faultOfPath, isProgramPath } from "../../../backends/common/paths.ts";
import { isWindows } from "../../../backends/common/runtime.ts";
import { preflight } from "../../permissions/preflight.ts";
import { CliError, type CommandCall, EXIT, usageError } from "../command.ts";
import { readBearer } from "./token.ts";

/** The signals that are handed on, and those of them that a terminal sends to the program as well. */
const SIGNALS: readonly Deno.Signal[] = isWindows
  ? ["SIGINT", "SIGBREAK"]
  : ["SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"];

const OF_TERMINAL = /INT|QUIT|BREAK/;

export async function run({ flags, args, command }: CommandCall) {
  const [program, ...programArgs] = args;
  if (program === undefined) {
    throw usageError("Cannot run the program: none is given. Give it after --.");
  }
  const variable = flags.text("variable") ?? "VM_ACCESS_TOKEN";
  if (!/^[A-Za-z_]\w*$/.test(variable)) {
    throw usageError("Cannot use --variable: it is not the name of a variable. Correct it.");
  }
  const reason = "to start the program";
  const isFound = !isProgramPath(program);
  preflight(command.action, [
    { name: "run", command: program, reason, need: "always" },
    { name: "env", variable: "PATH", reason, need: isFound ? "always" : "optional" },
  ]);
  // A folder of somebody else's could give the program.
  const fault = isFound ? faultOfPath(readEnv("PATH", `find ${program}`)) : undefined;
  if (fault !== undefined) throw notStarted(program, fault, EXIT.programRefused);
  const { bearer } = await readBearer(flags, command.action);
  const child = start(program, { args: programArgs, env: { [variable]: bearer } });
  using _ = handOnSignals(child);
  return (await child.status).code;
}

function start(program: string, options: Deno.CommandOptions) {
  try {
    return new Deno.Command(program, options).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw notStarted(program, "there is no such program", EXIT.programAbsent);
    }
    throw notStarted(program, "the system does not start it", EXIT.programRefused);
  }
}

function notStarted(program: string, reason: string, exit: number) {
  const message = `Cannot run ${program}: ${reason}. Check PATH, and the program's name and mode.`;
  return new CliError(message, "program_failed", exit);
}

/** Hands signals on to a program until it has ended. This one ends after it, by its exit code. */
function handOnSignals(child: Deno.ChildProcess) {
  const isInTerminal = [Deno.stdin, Deno.stdout, Deno.stderr].some((one) => one.isTerminal());
  const listeners = SIGNALS.map((signal) => {
    const handOn = () => {
      if (isInTerminal && OF_TERMINAL.test(signal)) return;
      try {
        child.kill(signal);
      } catch {
        // It has just ended.
      }
    };
    Deno.addSignalListener(signal, handOn);
    return () => Deno.removeSignalListener(signal, handOn);
  });
  return { [Symbol.dispose]: () => listeners.forEach((remove) => remove()) };
}
