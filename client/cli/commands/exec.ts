import { isWindows } from "../../../backends/common/platform.ts";
import { printable } from "../../../backends/common/printable.ts";
import { preflight } from "../../permissions/preflight.ts";
import { type Command, EXIT } from "../command.ts";
import { CliError, usageError } from "../output.ts";
import { BEARER_FLAGS, readBearer } from "./token.ts";

const USUAL_VARIABLE = "VM_ACCESS_TOKEN";
/** The signals that a terminal sends to the program as well. */
const OF_TERMINAL: readonly Deno.Signal[] = isWindows
  ? ["SIGINT", "SIGBREAK"]
  : ["SIGINT", "SIGQUIT"];
/** The others, which another program sends to this one alone. */
const OTHERS: readonly Deno.Signal[] = isWindows ? [] : ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"];

export const exec: Command = {
  name: "exec",
  summary: "run a program with a fresh token in its environment",
  details: [
    `The program finds the token in ${USUAL_VARIABLE}, or in the variable of --variable, and never ` +
    "among its arguments. It has this program's standard streams, and gets the signals that are sent " +
    "to this one. Its exit code is handed on; 126 and 127 mean that it could not be started. It does " +
    "not start without a token: without a sign-in the exit code is 4.",
    "The token is not refreshed while the program runs.",
  ],
  args: "[--] PROGRAM [ARGUMENT]…",
  isRest: true,
  flags: [...BEARER_FLAGS, "variable"],
  examples: [
    "exec -- python report.py",
    'exec -- sh -c \'printf "Authorization: Bearer %s" "$VM_ACCESS_TOKEN" | curl -H @- URL\'',
  ],
  action: "run the program",
  async run(invocation) {
    const { flags, args: [program, ...args] } = invocation;
    if (program === undefined) {
      throw usageError("Cannot run the program: none is given. Give it after --.");
    }
    const variable = flags.text("variable") ?? USUAL_VARIABLE;
    if (!/^[A-Za-z_]\w*$/.test(variable)) {
      throw usageError("Cannot use --variable: it is not the name of a variable. Correct it.");
    }
    const reason = "to start the program";
    const need = { name: "run", command: program, reason, need: "always" } as const;
    preflight(exec.action, [need], "always");
    const { bearer } = await readBearer(invocation, exec.action);
    const streams = { stdin: "inherit", stdout: "inherit", stderr: "inherit" } as const;
    const command = new Deno.Command(program, { args, env: { [variable]: bearer }, ...streams });
    let child: Deno.ChildProcess;
    try {
      child = command.spawn();
    } catch (error) {
      throw cannotStart(program, error);
    }
    using _ = handOnSignals(child);
    return (await child.status).code;
  },
};

function cannotStart(program: string, error: unknown): CliError {
  const isAbsent = error instanceof Deno.errors.NotFound;
  const reason = isAbsent ? "it is not there" : "the system does not start it";
  const message = `Cannot run ${printable(program, 200)}: ${reason}. Check its name and mode.`;
  return new CliError(
    message,
    "program_failed",
    isAbsent ? EXIT.programAbsent : EXIT.programRefused,
  );
}

/** Hands signals on to a program until it has ended. This one ends after it, by its exit code. */
function handOnSignals(child: Deno.ChildProcess): Disposable {
  const isInTerminal = [Deno.stdin, Deno.stdout, Deno.stderr].some((one) => one.isTerminal());
  const listeners = [...OF_TERMINAL, ...OTHERS].map((signal) => {
    const handOn = () => {
      if (isInTerminal && OF_TERMINAL.includes(signal)) return;
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
