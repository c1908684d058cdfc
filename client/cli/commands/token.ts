import type { AuthEvent } from "../../auth_event.ts";
import { createSession } from "../../create_session.ts";
import { ValidMindAuthError } from "../../errors.ts";
import { terminalNotice } from "../../prompt/terminal.ts";
import type { Session } from "../../session.ts";
import { type Command, EXIT, type Invocation, PROGRAM } from "../command.ts";
import type { FlagValues } from "../flags.ts";
import { toJsonText } from "../output.ts";
import { findTarget, IDENTITY_FLAGS, sessionOptions, STORE_FLAGS } from "../sign_in_target.ts";

/** `token`: the only command that prints a secret. */
export const token: Command = {
  name: "token",
  summary: "print the bearer token, refreshed if needed",
  details: [
    "Prints the token and a line end, and nothing else, to standard output. Never asks a " +
    "person, unless --login is given: without a sign-in it fails with exit code 4. --json " +
    "prints { token, token_type, expires_at, expires_in }, and with --header also { header }.",
  ],
  flags: [...IDENTITY_FLAGS, "scope", ...STORE_FLAGS, "login", "refresh", "header", "json"],
  examples: [
    "token --header | curl -H @- https://api.example.com/things",
    "token --json | jq -r .expires_at",
  ],
  action: "print a token",
  async run(invocation) {
    const { flags, output } = invocation;
    await using target = await findTarget(flags, token.action);
    const { stored } = target;
    if (stored === undefined) {
      throw new ValidMindAuthError(
        "no_access_token",
        "Cannot print a token: an API key is set (VM_API_KEY), and requests carry it instead. " +
          "Unset it, or give --issuer and --client-id, to sign in as a person.",
      );
    }
    let notice: ReturnType<typeof terminalNotice> | undefined;
    let failure: string | undefined;
    const onEvent = (event: AuthEvent) => {
      if (event.type === "lock_waiting") {
        const { issuer } = event;
        notice = terminalNotice(
          `Another process is refreshing the sign-in at ${issuer}; waiting for it …`,
        );
      }
      if (event.type === "lock_waited") notice?.erase();
      if (event.type === "refresh_failed") failure = event.code ?? "unexpected";
      if (event.type === "refresh_done" || event.type === "refresh_joined") failure = undefined;
    };
    const isAsking = flags.has("login");
    const read = async (forceRefresh: boolean) => {
      await using session = await createSession({
        ...sessionOptions(flags),
        credentialsBackend: stored.chosen.backend,
        interactive: isAsking,
        ...(!isAsking && { onEvent }), // else the session shows it
      });
      return await tokenText(session, await session.accessToken({ forceRefresh }), flags);
    };
    const text = await read(flags.has("refresh")).catch((error) => {
      const isUnstored = error instanceof ValidMindAuthError &&
        error.code === "credentials_not_stored";
      if (!isUnstored) throw error;
      // New tokens that could not be stored are valid all the same, and in memory.
      warn(invocation, error.code, error.message);
      return read(false);
    });
    output.print(text);
    if (failure !== undefined) {
      const message = `The token could not be refreshed. Run: ${PROGRAM} token --refresh`;
      warn(invocation, failure, message);
    }
    return EXIT.ok;
  },
};

function warn({ flags, output }: Invocation, code: string, message: string): void {
  const json = `${JSON.stringify({ warning: { code, message } })}\n`;
  output.note(flags.has("json") ? json : `warning (${code}): ${message}\n`);
}

async function tokenText(session: Session, bearer: string, flags: FlagValues): Promise<string> {
  const header = `Authorization: Bearer ${bearer}`;
  if (!flags.has("json")) return `${flags.has("header") ? header : bearer}\n`;
  const { expiresAt } = await session.status();
  const answer = {
    token: bearer,
    token_type: "Bearer",
    ...(flags.has("header") && { header }),
    ...(expiresAt !== undefined && {
      expires_at: expiresAt.toISOString(),
      expires_in: Math.floor((expiresAt.getTime() - Date.now()) / 1000),
    }),
  };
  return toJsonText(answer, 2);
}
