import { createSession } from "../../create_session.ts";
import { assertPersistent } from "../choose_backend.ts";
import { type Command, EXIT, type Invocation } from "../command.ts";
import {
  findSignInTarget,
  sessionOptions,
  SIGN_IN_FLAGS,
  type SignInTarget,
} from "../sign_in_target.ts";
import { printStatus, reportOf } from "./status.ts";

/** `login`: asks the person to sign in, unless a stored sign-in serves. */
export const login: Command<SignInTarget> = {
  name: "login",
  summary: "sign in, and keep the tokens",
  details: [
    "Shows a link and a code on standard error, and waits for the approval. A stored " +
    "sign-in that still serves is kept; to sign in as another person, run logout first. " +
    "Asks even if VM_OIDC_INTERACTIVE is 0, since somebody runs this command.",
  ],
  flags: [...SIGN_IN_FLAGS, "json", "quiet"],
  examples: ["login", "login --issuer https://login.example.com --client-id my-client"],
  action: "sign in",
  prepare: findSignInTarget,
  run: runLogin,
};

async function runLogin(target: SignInTarget, invocation: Invocation): Promise<number> {
  const { stored } = target;
  if (stored !== undefined) {
    assertPersistent(stored.chosen, login.action);
    await using _session = await createSession({
      ...sessionOptions(invocation.flags),
      credentialsBackend: stored.chosen.backend,
      interactive: true,
    });
  }
  printStatus(await reportOf(target), invocation);
  return EXIT.ok;
}
