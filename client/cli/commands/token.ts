import type { AuthEvent } from "../../auth_event.ts";
import { createSession } from "../../create_session.ts";
import { ValidMindAuthError } from "../../errors.ts";
import { type Command, EXIT, type Invocation, PROGRAM } from "../command.ts";
import { usageError } from "../cli_error.ts";
import type { FlagValues, TOKEN_FORMATS } from "../flags.ts";
import { toJsonText } from "../output.ts";
import { findTarget, IDENTITY_FLAGS, sessionOptions, STORE_FLAGS } from "../sign_in_target.ts";

/** Those that are flags of their own, too. The first that is given counts. */
const SHORT_FORMATS = ["json", "header"] as const;
type TokenFormat = typeof TOKEN_FORMATS[number];

type Format = (bearer: string, expiresAt: Date | undefined, flags: FlagValues) => string;

const headerOf = (bearer: string) => `Authorization: Bearer ${bearer}`;
const toSeconds = (milliseconds: number) => Math.floor(milliseconds / 1000);

const FORMATS: Record<TokenFormat, Format> = {
  "exec-credential": (token, expirationTimestamp) =>
    toJsonText({
      apiVersion: "client.authentication.k8s.io/v1",
      kind: "ExecCredential",
      status: { token, expirationTimestamp },
    }, 2),
  "git": (bearer, end) =>
    `username=oauth2\npassword=${bearer}\n` +
    (end === undefined ? "" : `password_expiry_utc=${toSeconds(end.getTime())}\n`),
  "header": (bearer) => `${headerOf(bearer)}\n`,
  "json": (token, end, flags) =>
    toJsonText({
      token,
      token_type: "Bearer",
      ...(flags.has("header") && { header: headerOf(token) }),
      ...(end !== undefined && {
        expires_at: end.toISOString(),
        expires_in: toSeconds(end.getTime() - Date.now()),
      }),
    }, 2),
};

/** The format that the flags name; none for the bare token. */
function readFormat(flags: FlagValues): TokenFormat | undefined {
  const format = flags.text("format") as TokenFormat | undefined;
  const short = SHORT_FORMATS.find((name) => flags.has(name));
  if (format === undefined || short === undefined) return format ?? short;
  throw usageError(`Cannot use --format: --${short} is a format, too. Give one of the two.`);
}

/** `token`: the only command that prints a secret. */
export const token: Command = {
  name: "token",
  summary: "print the bearer token, refreshed if needed",
  details: [
    "Prints the token and a line end, and nothing else, to standard output. Never asks a " +
    "person, unless --login is given: without a sign-in it fails with exit code 4. --json " +
    "prints { token, token_type, expires_at, expires_in }, and with --header also { header }.",
    "--format exec-credential prints what kubectl's exec plugins print " +
    "(client.authentication.k8s.io/v1), and --format git what git's credential helpers print, with " +
    "the user name oauth2. --format header and --format json print what --header and --json print.",
  ],
  flags: [
    ...IDENTITY_FLAGS,
    "scope",
    ...STORE_FLAGS,
    "login",
    "refresh",
    "format",
    ...SHORT_FORMATS,
  ],
  examples: [
    "token --header | curl -H @- https://api.example.com/things",
    "token --json | jq -r .expires_at",
    "token --format exec-credential",
  ],
  action: "print a token",
  async run(invocation) {
    const { flags, output } = invocation;
    const format = readFormat(flags);
    await using target = await findTarget(flags, token.action);
    const { stored } = target;
    if (stored === undefined) {
      throw new ValidMindAuthError(
        "no_access_token",
        "Cannot print a token: an API key is set (VM_API_KEY), and requests carry it instead. " +
          "Unset it, or give --issuer and --client-id, to sign in as a person.",
      );
    }
    let failure: string | undefined;
    const onEvent = (event: AuthEvent) => {
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
      const bearer = await session.accessToken({ forceRefresh });
      if (format === undefined) return `${bearer}\n`;
      const { expiresAt } = await session.status();
      return FORMATS[format](bearer, expiresAt, flags);
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
