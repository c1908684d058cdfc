import {
  backendError,
  describeBackend,
  isProbeKey,
} from "../../../backends/common/describe_backend.ts";
import { printable } from "../../../backends/common/printable.ts";
import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import type { OidcCredentialsBackend } from "../../../backends/oidc_credentials_backend.ts";
import { asksNobody } from "../../entry.ts";
import { backendStatus } from "../../signed_in/session.ts";
import { CredentialStore } from "../../tokens/store.ts";
import { type Command, EXIT, type FlagValues, printResult } from "../command.ts";
import { columns, snakeCase } from "../output.ts";
import { describeError } from "../report_error.ts";
import { chooseBackend, STORE_FLAGS } from "../sign_in_target.ts";
import { describeEntry, placeRow, rowsOf, type StoredIdentity } from "./status.ts";

export const list: Command = {
  name: "list",
  summary: "list the stored sign-ins with provider, client, profile and end",
  details: [
    "Reads the store only, and needs no issuer and no client. An entry that cannot be read is shown " +
    "with the reason, and makes the exit code 1. --profile names whose settings in the settings file " +
    "say where the store is.",
  ],
  flags: ["profile", ...STORE_FLAGS, "json"],
  examples: ["list", "list --json | jq -r '.sign_ins[].issuer'"],
  action: "list the sign-ins",
  async run(invocation) {
    const { backend } = await chooseBackend(invocation.flags, list.action);
    const signIns = [];
    for (const key of await listKeys(backend)) {
      const found = await readSignIn(backend, key, invocation.flags);
      if (found !== undefined) signIns.push(found);
    }
    const rows = signIns.flatMap((one) => {
      if (!("error" in one)) return [...rowsOf(one), []];
      return [
        ["Unreadable", one.error.message],
        ["Provider", one.issuer],
        ["Client", one.clientId],
        [],
      ];
    });
    const nobody = rows.length === 0 ? "Nobody is signed in.\n" : "";
    const text = nobody + columns([...rows, placeRow(backend)]);
    const json = { backend: snakeCase(backendStatus(backend)), signIns: signIns.map(snakeCase) };
    printResult(invocation, json, text);
    return signIns.some((one) => "error" in one) ? EXIT.failure : EXIT.ok;
  },
};

/** The keys of all entries, in their order. */
async function listKeys(backend: OidcCredentialsBackend): Promise<string[]> {
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
async function readSignIn(backend: OidcCredentialsBackend, key: string, flags: FlagValues) {
  const identity = identityOfKey(key);
  try {
    const entry = await new CredentialStore(backend, key).load();
    return entry && describeEntry(entry, identity);
  } catch (error) {
    const fault = backendError("read credentials from", backend, error);
    return { ...identity, error: describeError(fault, flags, identity) };
  }
}

/** The identity that a stored key stands for. A key of another form becomes the issuer. */
function identityOfKey(key: string): StoredIdentity {
  const form =
    /^(?:(client_credentials|token_exchange)\|)?(dpop\|)?(?:profile:([^|]*)\|)?([^|]*)\|([^|]*)(?:\|(.*))?$/s;
  const text = printable(key, 2000); // it may be of anybody
  const [, flow, dpop, profile, issuer = text, clientId = "", audience] = form.exec(text) ?? [];
  return {
    issuer,
    clientId,
    ...(audience && { audience }),
    ...(profile && { profile }),
    ...(asksNobody(flow) && { flow }),
    ...(dpop && { dpop: true }),
  };
}
