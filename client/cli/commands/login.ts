import { createSession } from "../../create_session.ts";
import { assertPersistent, chooseBackend } from "../choose_backend.ts";
import { type Command, EXIT, type Invocation } from "../command.ts";
import { IDENTITY_FLAGS, identityOptions } from "../identity_options.ts";
import { readStatus, type StatusReport } from "../read_status.ts";
import { findIdentity, identityNeeds, signInNeeds } from "../sign_in_needs.ts";
import { statusText } from "../status_text.ts";

const ACTION = "sign in";

/** `login`: asks the person, unless a stored sign-in does. */
export const login: Command = {
  name: "login",
  summary: "sign in, and keep the tokens",
  details: [
    "Shows a link and a code on standard error, and waits for the approval. A stored sign-in that",
    "still serves is kept; to sign in as somebody else, run logout first. Asks even where",
    "VM_OIDC_INTERACTIVE is 0: to run this command is to be there.",
  ],
  flags: [...IDENTITY_FLAGS, "dpop", "scope", "backend", "backend-options", "json", "quiet"],
  examples: ["login", "login --issuer https://login.example.com --client-id my-client"],
  needs: signInNeeds,
  run: runLogin,
};

async function runLogin({ flags, output }: Invocation): Promise<number> {
  const report = await signIn(flags);
  if (flags.has("json")) output.print(`${JSON.stringify(report, null, 2)}\n`);
  else if (!flags.has("quiet")) output.print(statusText(report, Date.now()));
  return EXIT.ok;
}

async function signIn(flags: Invocation["flags"]): Promise<StatusReport> {
  const identity = await findIdentity(flags, ACTION);
  if (identity.kind === "api_key") return { signed_in: true, state: "api_key" };
  await using chosen = await chooseBackend(flags, ACTION, identityNeeds(flags));
  assertPersistent(chosen, ACTION);
  await using _session = await createSession({
    ...identityOptions(flags),
    credentialsBackend: chosen.backend,
    interactive: true,
  });
  return await readStatus(identity, chosen.backend, Date.now());
}
