import { type Command, EXIT } from "../command.ts";
import type { TOKEN_FORMATS } from "../flags.ts";
import { toJsonText } from "../output.ts";
import { BEARER_FLAGS, readBearer } from "../read_bearer.ts";

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
      ...(end !== undefined && {
        expires_at: end.toISOString(),
        expires_in: toSeconds(end.getTime() - Date.now()),
      }),
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
    const { flags, output } = invocation;
    const format = flags.has("json") ? "json" : flags.text("format") as keyof typeof FORMATS;
    const { bearer, expiresAt } = await readBearer(invocation, token.action);
    output.print(format === undefined ? `${bearer}\n` : FORMATS[format](bearer, expiresAt));
    return EXIT.ok;
  },
};
