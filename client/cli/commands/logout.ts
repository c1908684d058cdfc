import { describeBackend } from "../../../backends/common/describe_backend.ts";
import { printable } from "../../../backends/common/printable.ts";
import { clearOidcCredentials } from "../../init.ts";
import type { ClearResult } from "../../session.ts";
import { type CommandCall, EXIT, PROGRAM, usageError } from "../command.ts";
import { IDENTITY_FLAGS } from "../flags.ts";
import { printResult } from "../output.ts";
import { chooseStore, findTarget, sessionOptions } from "../sign_in_target.ts";

export async function run({ flags, command }: CommandCall): Promise<number | void> {
  const all = flags.has("all");
  const given = IDENTITY_FLAGS.find((name) => flags.has(name));
  if (all && given !== undefined) {
    throw usageError(`Cannot use --${given} with --all: --all is for everybody. Give one.`);
  }
  // With --all nobody is named.
  const { backend } = all
    ? await chooseStore(flags, command.action)
    : await findTarget(flags, command.action) ?? {};
  const result = await clearOidcCredentials({
    ...sessionOptions(flags),
    credentialsBackend: backend,
    all,
    revoke: flags.has("revoke"),
  });
  const { revocation } = result;
  let nobody = `Nobody was signed in. To see all sign-ins: ${PROGRAM} list\n`;
  if (all && backend) nobody = `No sign-in is kept in ${describeBackend(backend)}.\n`;
  printResult(flags, { wholeStore: false, ...result }, removalText(result, nobody));
  const isMissed = revocation === "failed" || revocation === "not_supported";
  if (isMissed) return EXIT.failure;
}

function removalText(result: ClearResult, nobody: string) {
  const { keys, wholeStore } = result;
  const removed = wholeStore
    ? "Removed the whole store, which could not be read.\n"
    : keys.map((key) => `Removed ${printable(key)}\n`).join("") || nobody;
  return removed + revocationText(result);
}

function revocationText({ revocation, reason }: ClearResult) {
  if (revocation === "not_requested") return "";
  if (revocation === "revoked" && reason) return `The refresh token is revoked, but ${reason}.\n`;
  if (revocation === "revoked") return "The provider has ended the tokens.\n";
  if (revocation === "nothing_to_revoke") return "There was nothing to revoke.\n";
  const why = reason?.replace(/\.$/, "");
  return `The tokens could not be revoked: ${why}. They may stay valid until they end. ` +
    "End them on the provider's own page.\n";
}
