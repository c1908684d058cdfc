import { type CommandCall, usageError } from "../command.ts";
import type { FlagValues, TOKEN_FORMATS } from "../flags.ts";
import { print, toJsonText } from "../output.ts";
import { openByFlags } from "../sign_in_target.ts";

type Format = (bearer: string, expiresAt: Date | undefined) => string;

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
  "json": (token, end) =>
    toJsonText({
      token,
      token_type: "Bearer",
      expires_at: end,
      expires_in: end && Math.floor((end.getTime() - Date.now()) / 1000),
    }, 2),
};

/** `token`: the only command that prints a secret. */
export async function run({ flags, command }: CommandCall) {
  if (flags.has("json") && flags.has("format")) {
    throw usageError("Cannot use --json with --format: each is a format. Give one.");
  }
  const format = flags.has("json") ? "json" : flags.text("format") as keyof typeof FORMATS;
  const { bearer, expiresAt } = await readBearer(flags, command.action);
  print(format === undefined ? `${bearer}\n` : FORMATS[format](bearer, expiresAt));
}

/** The bearer token of the sign-in that the flags name, and its end where that is known. */
export async function readBearer(flags: FlagValues, action: string) {
  await using session = await openByFlags(flags, action);
  const bearer = await session.accessToken({ forceRefresh: flags.has("refresh") });
  return { bearer, expiresAt: (await session.status()).expiresAt };
}
