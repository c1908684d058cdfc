import { isWindows } from "../../../backends/common/runtime.ts";
import { preflight } from "../../permissions/preflight.ts";
import {
  CliError,
  type Command,
  EXIT,
  type FlagName,
  type FlagValues,
  print,
  toJsonText,
  type TOKEN_FORMATS,
  usageError,
} from "../command.ts";
import { IDENTITY_FLAGS, openSession, STORE_FLAGS } from "../sign_in_target.ts";

/** The flags of a command that needs a token. */
export const BEARER_FLAGS: readonly FlagName[] = [
  ...IDENTITY_FLAGS,
  "scope",
  "bearer",
  ...STORE_FLAGS,
  "login",
  "refresh",
  "debug",
];

type Format = (bearer: string, expiresAt: Date | undefined) => string;

const FORMATS: Record<typeof TOKEN_FORMATS[number], Format> = {
  "exec-credential": (token, expirationTimestamp) =>
    toJsonText({
      apiVersion: "client.authentication.k8s.io/v1",
      kind: "ExecCredential",
      status: { token, expirationTimestamp },
    }, 2),
  "git": (bearer, end) =>
    `username=oauth2\npassword=${bearer}\n` +
    (end === undefined ? "" : `password_expiry_utc=${Math.floor(end.getTime() / 1000)}\n`),
  "header": (bearer) => `Authorization: Bearer ${bearer}\n`,
  "json": (token, end) =>
    toJsonText({
      token,
      token_type: "Bearer",
      expires_at: end,
      expires_in: end && Math.floor((end.getTime() - Date.now()) / 1000),
    }, 2),
};

/** `token`: the only command that prints a secret. */
export const token: Command = {
  name: "token",
  summary: "print the bearer token, refreshed if needed",
  details: [
    "Prints only the token and a line end to standard output. Without a sign-in it fails with exit code " +
    "4. With --login it asks the person. --json is the same as --format json, and prints { token, " +
    "token_type, expires_at, expires_in }.",
    "--format exec-credential is for kubectl (client.authentication.k8s.io/v1). --format git is for a " +
    "credential helper of git, with the user name oauth2. --format header prints the line " +
    "Authorization: Bearer …",
    "To run a program with the token, use exec: in a pipe the program also runs where token has failed.",
  ],
  flags: [...BEARER_FLAGS, "format", "json"],
  examples: [
    "token --json | jq -r .expires_at",
    "token --format exec-credential",
  ],
  action: "print a token",
  async run(flags) {
    const format = flags.has("json") ? "json" : flags.text("format") as keyof typeof FORMATS;
    const { bearer, expiresAt } = await readBearer(flags, token.action);
    print(format === undefined ? `${bearer}\n` : FORMATS[format](bearer, expiresAt));
    return EXIT.ok;
  },
};

/** The bearer token of the sign-in that the flags name, and its end where that is known. */
async function readBearer(flags: FlagValues, action: string) {
  await using session = await openSession(flags, action);
  const bearer = await session.accessToken({ forceRefresh: flags.has("refresh") });
  return { bearer, expiresAt: (await session.status()).expiresAt };
}

const USUAL_VARIABLE = "VM_ACCESS_TOKEN";
/** The signals that are handed on, and those of them that a terminal sends to the program as well. */
const SIGNALS: readonly Deno.Signal[] = isWindows
  ? ["SIGINT", "SIGBREAK"]
  : ["SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"];
const OF_TERMINAL = /INT|QUIT|BREAK/;

export const exec: Command = {
  name: "exec",
  summary: "run a program with a fresh token in its environment",
  details: [
    `The program finds the token in ${USUAL_VARIABLE}, or in the variable that --variable names, and ` +
    "never among its arguments. It has the standard streams of exec, and gets the signals that exec " +
    "gets. The token is not refreshed while the program runs.",
    "The exit code is that of the program. 126 and 127 mean that it could not be started. Without a " +
    "sign-in the program is not started, and the exit code is 4.",
  ],
  args: "[--] PROGRAM [ARGUMENT]…",
  isRest: true,
  flags: [...BEARER_FLAGS, "variable"],
  examples: [
    "exec -- python report.py",
    'exec -- sh -c \'printf "Authorization: Bearer %s" "$VM_ACCESS_TOKEN" | curl -H @- URL\'',
  ],
  action: "run the program",
  async run(flags, [program, ...args]) {
    if (program === undefined) {
      throw usageError("Cannot run the program: none is given. Give it after --.");
    }
    const variable = flags.text("variable") ?? USUAL_VARIABLE;
    if (!/^[A-Za-z_]\w*$/.test(variable)) {
      throw usageError("Cannot use --variable: it is not the name of a variable. Correct it.");
    }
    const reason = "to start the program";
    preflight(exec.action, [{ name: "run", command: program, reason, need: "always" }]);
    const { bearer } = await readBearer(flags, exec.action);
    let child: Deno.ChildProcess;
    try {
      child = new Deno.Command(program, { args, env: { [variable]: bearer } }).spawn();
    } catch (error) {
      const isAbsent = error instanceof Deno.errors.NotFound;
      const reason = isAbsent ? "there is no such program" : "the system does not start it";
      throw new CliError(
        `Cannot run ${program}: ${reason}. Check its name and mode.`,
        "program_failed",
        isAbsent ? EXIT.programAbsent : EXIT.programRefused,
      );
    }
    using _ = handOnSignals(child);
    return (await child.status).code;
  },
};

/** Hands signals on to a program until it has ended. This one ends after it, by its exit code. */
function handOnSignals(child: Deno.ChildProcess): Disposable {
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
