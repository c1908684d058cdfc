import { createSession } from "../../create_session.ts";
import { ValidMindAuthError } from "../../errors.ts";
import type { Session } from "../../session.ts";
import { type Command, EXIT, type Invocation } from "../command.ts";
import type { FlagValues } from "../flags.ts";
import { Progress } from "../progress.ts";
import {
  findSignInTarget,
  IDENTITY_FLAGS,
  sessionOptions,
  type SignInTarget,
} from "../sign_in_target.ts";

/** `token`: the only command that prints a secret. */
export const token: Command<SignInTarget> = {
  name: "token",
  summary: "print the bearer token, refreshed if needed",
  details: [
    "Prints the token and a line end, and nothing else, to standard output. Never asks a " +
    "person, unless --login is given: without a sign-in it fails with exit code 4. --json " +
    "prints { token, token_type, expires_at, expires_in }.",
  ],
  flags: [
    ...IDENTITY_FLAGS,
    "scope",
    "backend",
    "backend-options",
    "login",
    "refresh",
    "header",
    "json",
  ],
  examples: [
    "token --header | curl -H @- https://api.example.com/things",
    "token --json | jq -r .expires_at",
  ],
  action: "print a token",
  prepare: findSignInTarget,
  run: runToken,
};

async function runToken(
  { stored }: SignInTarget,
  { flags, output }: Invocation,
): Promise<number> {
  if (stored === undefined) throw noToken();
  using progress = new Progress();
  const isAsking = flags.has("login");
  await using session = await createSession({
    ...sessionOptions(flags),
    credentialsBackend: stored.chosen.backend,
    interactive: isAsking,
    ...(!isAsking && { onEvent: progress.onEvent }), // else the session shows it
  });
  output.print(await tokenText(session, flags));
  return EXIT.ok;
}

async function tokenText(session: Session, flags: FlagValues): Promise<string> {
  const bearer = await session.accessToken({ forceRefresh: flags.has("refresh") });
  if (flags.has("header")) return `Authorization: Bearer ${bearer}\n`;
  if (!flags.has("json")) return `${bearer}\n`;
  const { expiresAt } = await session.status();
  const answer = {
    token: bearer,
    token_type: "Bearer",
    ...(expiresAt !== undefined && {
      expires_at: expiresAt.toISOString(),
      expires_in: Math.floor((expiresAt.getTime() - Date.now()) / 1000),
    }),
  };
  return `${JSON.stringify(answer, null, 2)}\n`;
}

function noToken(): ValidMindAuthError {
  return new ValidMindAuthError(
    "no_access_token",
    "Cannot print a token: an API key is set (VM_API_KEY), and requests carry it instead. " +
      "Unset it, or give --issuer and --client-id, to sign in as a person.",
  );
}
