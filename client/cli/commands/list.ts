import { describeBackend } from "../../../backends/common/describe_backend.ts";
import { isProbeKey } from "../../../backends/common/marks.ts";
import { printable } from "../../../backends/common/printable.ts";
import { listKeys } from "../../../backends/common/read_backend.ts";
import type { OidcCredentialsBackend } from "../../../backends/oidc_credentials_backend.ts";
import { KEY_FORM } from "../../credential_key.ts";
import { asksNobody } from "../../entry/bearer.ts";
import { backendStatus } from "../../signed_in/session.ts";
import { StoredCredential } from "../../tokens/stored_credential.ts";
import { type CommandCall, EXIT, PROGRAM } from "../command.ts";
import type { FlagValues } from "../flags.ts";
import { columns, printResult, snakeCase } from "../output.ts";
import { describeError } from "../report_error.ts";
import { chooseStore } from "../sign_in_target.ts";
import { describeEntry, rowsOf } from "./status.ts";

export async function run({ flags, command }: CommandCall): Promise<number | void> {
  const { backend } = await chooseStore(flags, command.action);
  const signIns = [];
  const keys = await listKeys(
    backend,
    `Look at each one with ${PROGRAM} status --issuer URL --client-id ID.`,
  );
  for (const key of keys.filter((key) => !isProbeKey(key))) {
    signIns.push(await readSignIn(backend, key, flags));
  }
  const rows = signIns.flatMap((one) => [...rowsOf(one), []]);
  const nobody = rows.length === 0 ? "Nobody is signed in.\n" : "";
  const text = nobody + columns([...rows, ["Kept in", describeBackend(backend)]]);
  const json = { backend: backendStatus(backend), signIns: signIns.map(snakeCase) };
  printResult(flags, json, text);
  if (signIns.some((one) => "error" in one)) return EXIT.failure;
}

/** A stored sign-in, or why it cannot be read. */
async function readSignIn(backend: OidcCredentialsBackend, key: string, flags: FlagValues) {
  const identity = identityOfKey(key);
  try {
    return describeEntry(await new StoredCredential(backend, key).read(), identity);
  } catch (error) {
    return { ...identity, error: describeError(error, flags, identity) };
  }
}

/** The identity that a stored key stands for. A key of another form becomes the issuer. */
function identityOfKey(key: string) {
  const text = printable(key, 2000); // it may be of anybody, and its parts become flags
  const parts: Partial<Record<string, string>> = KEY_FORM.exec(text)?.groups ?? {};
  const { flow, dpop, profile, issuer = text, clientId = "", audience } = parts;
  return {
    issuer,
    clientId,
    ...(audience && { audience }),
    ...(profile && { profile }),
    ...(asksNobody(flow) && { flow }),
    ...(dpop && { dpop: true as const }),
  };
}
