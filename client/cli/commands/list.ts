import {
  backendError,
  describeBackend,
  isProbeKey,
} from "../../../backends/common/describe_backend.ts";
import { printable } from "../../../backends/common/printable.ts";
import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import type { OidcCredentialsBackend } from "../../../backends/oidc_credentials_backend.ts";
import { CredentialStore } from "../../tokens/store.ts";
import { chooseBackend } from "../sign_in_target.ts";
import { inCliWords } from "../report_error.ts";
import { type Command, EXIT, printResult } from "../command.ts";
import type { FlagValues } from "../flags.ts";
import {
  describeEntry,
  describeIdentity,
  identityOfKey,
  listText,
  placeReport,
} from "../status_report.ts";

export const list: Command = {
  name: "list",
  summary: "list the stored sign-ins with provider, client, profile and end",
  details: [
    "Reads the store only, and needs no issuer and no client. An entry that cannot be read is shown " +
    "with the reason, and makes the exit code 1. --profile names whose settings in the settings file " +
    "say where the store is.",
  ],
  flags: ["profile", "backend", "backend-options", "config", "json"],
  examples: ["list", "list --json | jq -r '.sign_ins[].issuer'"],
  action: "list the sign-ins",
  async run(invocation) {
    const chosen = await chooseBackend(invocation.flags, list.action);
    const { backend } = chosen;
    const now = Date.now();
    const read = async (key: string) => await readSignIn(backend, key, now, invocation.flags);
    const found = [];
    for (const key of await listKeys(backend)) found.push(await read(key));
    const signIns = found.filter((one) => one !== undefined);
    const place = placeReport(backend);
    printResult(invocation, { backend: place, sign_ins: signIns }, listText(signIns, place, now));
    return signIns.some((one) => "error" in one) ? EXIT.failure : EXIT.ok;
  },
};

/** The keys of all entries, in their order. */
export async function listKeys(backend: OidcCredentialsBackend): Promise<string[]> {
  if (backend.list === undefined) {
    throw new CredentialsBackendError(
      "backend_no_list",
      `Cannot list the sign-ins in ${describeBackend(backend)}: it cannot list its keys. Look at ` +
        `each one with status --issuer URL --client-id ID.`,
    );
  }
  try {
    const keys = await Array.fromAsync(backend.list());
    return keys.filter((key) => !isProbeKey(key)).sort();
  } catch (error) {
    throw backendError("list the sign-ins in", backend, error);
  }
}

/** `undefined` for an entry that has been removed since the keys were read. */
async function readSignIn(
  backend: OidcCredentialsBackend,
  key: string,
  now: number,
  flags: FlagValues,
) {
  const identity = identityOfKey(key);
  try {
    const entry = await new CredentialStore(backend, key).load();
    return entry && describeEntry(entry, identity, now);
  } catch (error) {
    const fault = backendError("read credentials from", backend, error);
    const message = printable(inCliWords(fault, flags, identity), 1000);
    return { ...describeIdentity(identity), error: { code: fault.code, message } };
  }
}
