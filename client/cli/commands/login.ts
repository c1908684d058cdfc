import type { AuthEvent } from "../../auth_event.ts";
import { createSession } from "../../create_session.ts";
import { type Command, EXIT, printResult } from "../command.ts";
import type { FlagValues } from "../flags.ts";
import { alreadyText, statusText } from "../status_report.ts";
import {
  assertPersistent,
  findTarget,
  OPTION_FLAGS,
  sessionOptions,
  type SignInTarget,
} from "../sign_in_target.ts";
import { reportOf } from "./status.ts";

export const login: Command = {
  name: "login",
  summary: "sign in, and keep the tokens",
  details: [
    "Shows a link and a code on standard error, and waits for the approval. With --flow browser it " +
    "opens the browser, which comes back to this computer; from a browser on another machine the " +
    "last address can be pasted. A stored sign-in that still serves is kept: for another one run " +
    "logout first. Asks even if VM_OIDC_INTERACTIVE is 0, since somebody runs this command. With " +
    "--flow client_credentials nobody is asked: the client gets a token for itself.",
  ],
  flags: [
    ...OPTION_FLAGS.filter((name) => name !== "api-host"),
    "no-open",
    "json",
    "quiet",
  ],
  examples: [
    "login",
    "login --flow browser --login-hint ada@example.com --parameter prompt=login",
    "login --flow client_credentials",
  ],
  action: "sign in",
  async run(invocation) {
    const { flags } = invocation;
    await using target = await findTarget(flags, login.action);
    const isNew = await signIn(target, flags);
    const report = await reportOf(target);
    const text = isNew || report.state === "api_key" ? statusText : alreadyText;
    printResult(invocation, report, text(report, Date.now()));
    return EXIT.ok;
  },
};

/** Signs in, and tells whether the stored sign-in did not serve. */
async function signIn({ stored }: SignInTarget, flags: FlagValues): Promise<boolean> {
  if (stored === undefined) return false;
  const { chosen, identity } = stored;
  assertPersistent(chosen, login.action);
  const isClient = identity.flow === "client_credentials";
  let isAsked = false;
  await using _session = await createSession({
    ...sessionOptions(flags),
    credentialsBackend: chosen.backend,
    interactive: true,
    onEvent: ({ type }: AuthEvent) => {
      isAsked ||= type === (isClient ? "refresh_done" : "sign_in_started");
    },
  });
  return isAsked;
}
