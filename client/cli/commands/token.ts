import { type CommandCall, usageError } from "../command.ts";
import type { FlagValues, TOKEN_FORMATS } from "../flags.ts";
import { print, toJsonText } from "../output.ts";
import { openByFlags } from "../sign_in_target.ts";

type Format = (bearer: string, expiresAt: Date | undefined, type: string) => string;

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
  "json": (token, expires_at, token_type) => {
    const expires_in = expires_at && Math.floor((expires_at.getTime() - Date.now()) / 1000);
    return toJsonText({ token, token_type, expires_at, expires_in }, 2);
  },
};

/** `token`: the only command that prints a secret. */
export async function run({ flags, command }: CommandCall) {
  if (flags.has("json") && flags.has("format")) {
    throw usageError("Cannot use --json with --format: each is a format. Give one.");
  }
  const format = flags.has("json") ? "json" : flags.text("format") as keyof typeof FORMATS;
  const { bearer, expiresAt, type } = await readBearer(flags, command.action);
  print(format === undefined ? `${bearer}\n` : FORMATS[format](bearer, expiresAt, type));
}

/** The bearer token of the sign-in that the flags name, its type, and its end where that is known. */
export async function readBearer(flags: FlagValues, action: string) {
  await using session = await openByFlags(flags, action);
  const bearer = await session.accessToken({ forceRefresh: flags.has("refresh") });
  const { expiresAt } = await session.status();
  return { bearer, expiresAt, type: session.dpop ? "DPoP" : "Bearer" };
}
