import { ValidMindAuthError } from "../../errors.ts";
import {
  type Command,
  EXIT,
  type FlagName,
  type Invocation,
  type TOKEN_FORMATS,
} from "../command.ts";
import { print, toJsonText } from "../output.ts";
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

const toSeconds = (milliseconds: number) => Math.floor(milliseconds / 1000);

const FORMATS: Record<typeof TOKEN_FORMATS[number], Format> = {
  "exec-credential": (token, expirationTimestamp) =>
    toJsonText({
      apiVersion: "client.authentication.k8s.io/v1",
      kind: "ExecCredential",
      status: { token, expirationTimestamp },
    }, 2),
  "git": (bearer, end) =>
    `username=oauth2\npassword=${bearer}\n` +
    (end === undefined ? "" : `password_expiry_utc=${toSeconds(end.getTime())}\n`),
  "header": (bearer) => `Authorization: Bearer ${bearer}\n`,
  "json": (token, end) =>
    toJsonText({
      token,
      token_type: "Bearer",
      expires_at: end,
      expires_in: end && toSeconds(end.getTime() - Date.now()),
    }, 2),
};

/** `token`: the only command that prints a secret. */
export const token: Command = {
  name: "token",
  summary: "print the bearer token, refreshed if needed",
  details: [
    "Prints the token and a line end, and nothing else, to standard output. Never asks a " +
    "person, unless --login is given: without a sign-in it fails with exit code 4. --json, the same " +
    "as --format json, prints { token, token_type, expires_at, expires_in }.",
    "--format exec-credential prints what kubectl's exec plugins print " +
    "(client.authentication.k8s.io/v1), --format git what git's credential helpers print, with the " +
    "user name oauth2, and --format header the line Authorization: Bearer …",
    "A program that needs the token is better run by exec: a pipe goes on after token has failed.",
  ],
  flags: [...BEARER_FLAGS, "format", "json"],
  examples: [
    "token --json | jq -r .expires_at",
    "token --format exec-credential",
  ],
  action: "print a token",
  async run(invocation) {
    const { flags } = invocation;
    const format = flags.has("json") ? "json" : flags.text("format") as keyof typeof FORMATS;
    const { bearer, expiresAt } = await readBearer(invocation, token.action);
    print(format === undefined ? `${bearer}\n` : FORMATS[format](bearer, expiresAt));
    return EXIT.ok;
  },
};

/** The bearer token of the sign-in that the flags name, and its end where that is known. */
export async function readBearer(
  { flags }: Invocation,
  action: string,
): Promise<{ bearer: string; expiresAt: Date | undefined }> {
  await using session = await openSession(flags, action);
  if (session.backend === undefined) {
    throw new ValidMindAuthError(
      "no_access_token",
      `Cannot ${action}: an API key is set (VM_API_KEY), and requests carry it instead. Unset it, ` +
        `or give --issuer and --client-id, to sign in as a person.`,
    );
  }
  const bearer = await session.accessToken({ forceRefresh: flags.has("refresh") });
  return { bearer, expiresAt: (await session.status()).expiresAt };
}
