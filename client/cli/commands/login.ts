import type { AuthEvent } from "../../auth_event.ts";
import { asksNobody } from "../../entry.ts";
import { createSession } from "../../create_session.ts";
import { type Command, EXIT, type Invocation } from "../command.ts";
import { note, print, snakeCase, toJsonText } from "../output.ts";
import {
  assertPersistent,
  findTarget,
  OPTION_FLAGS,
  sessionOptions,
  type SignInTarget,
} from "../sign_in_target.ts";
import { readStatus, statusText } from "./status.ts";

export const login: Command = {
  name: "login",
  summary: "sign in, and keep the tokens",
  details: [
    "Shows a link and a code on standard error, and waits for the approval. With --flow browser it " +
    "opens the browser, which comes back to this computer; from a browser on another machine the " +
    "last address can be pasted. A stored sign-in that still serves is kept: for another one run " +
    "logout first. Asks even if VM_OIDC_INTERACTIVE is 0, since somebody runs this command. With " +
    "--flow client_credentials nobody is asked: the client gets a token for itself; with " +
    "--flow token_exchange one for the person of another token.",
    "--json prints each step as a line of JSON, with link and code, and the report of status last.",
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
    const target = await findTarget(flags, login.action);
    const isNew = await signIn(target, invocation);
    const report = await readStatus(target);
    const already = isNew || target === undefined ? "" : ALREADY;
    if (flags.has("json")) print(toJsonText(snakeCase(report)));
    else if (!flags.has("quiet")) print(already + statusText(report, target));
    return EXIT.ok;
  },
};

const ALREADY = "Already signed in. To sign in as somebody else, run logout first.\n";

/** Signs in, and tells whether the stored sign-in did not serve. */
async function signIn(
  target: SignInTarget | undefined,
  invocation: Invocation,
): Promise<boolean> {
  if (target === undefined) return false;
  const { backend, identity } = target;
  assertPersistent(backend, login.action);
  const { flags } = invocation;
  const tell = (step: object) => print(toJsonText(snakeCase(step)));
  const isAlone = asksNobody(identity.flow);
  let isAsked = false;
  await using _session = await createSession({
    ...sessionOptions(flags),
    credentialsBackend: backend,
    interactive: true,
    onEvent: ({ time: _, ...event }: AuthEvent) => {
      isAsked ||= event.type === (isAlone ? "refresh_done" : "sign_in_started");
      // With link and code below.
      const isShown = event.type === "code_shown" || event.type === "link_shown";
      if (flags.has("json") && !isShown) tell(event);
    },
    ...(flags.has("json") && {
      onDeviceCode: (code) => {
        tell({ type: "code_shown", ...code });
        note(`Open ${code.verificationUri} and enter ${code.userCode}\n`);
      },
      onAuthorizationUrl: ({ submit: _, ...link }) => {
        tell({ type: "link_shown", ...link });
        note(`Open ${link.url}\n`);
      },
    }),
  });
  return isAsked;
}
