import type { ClearResult } from "../../session.ts";
import { clearOidcCredentials } from "../../init.ts";
import { printable } from "../../../backends/common/printable.ts";
import { type Command, EXIT, printResult } from "../command.ts";
import {
  chooseBackend,
  findTarget,
  IDENTITY_FLAGS,
  sessionOptions,
  STORE_FLAGS,
} from "../sign_in_target.ts";
import { note, usageError } from "../output.ts";

export const logout: Command = {
  name: "logout",
  summary: "remove the stored tokens",
  details: [
    "The entry is removed here whatever the network does. With --revoke, exit code 1 " +
    "means that the provider refused or failed: the tokens may then live on there until " +
    "they end. It is no failure if nobody was signed in.",
    "--all removes every entry, of all people if they share the store, and asks nobody. Only it " +
    "deletes a store that cannot be read.",
  ],
  flags: [...IDENTITY_FLAGS, ...STORE_FLAGS, "revoke", "all", "json", "quiet"],
  examples: ["logout", "logout --revoke", "logout --all"],
  action: "sign out",
  async run(invocation) {
    const { flags } = invocation;
    const all = flags.has("all");
    const given = IDENTITY_FLAGS.find((name) => flags.has(name));
    if (all && given !== undefined) {
      throw usageError(`Cannot use --${given} with --all, which means everybody. Give one.`);
    }
    // With --all nobody is named.
    const { backend } = all
      ? await chooseBackend(flags, logout.action)
      : await findTarget(flags, logout.action) ?? {};
    const result = await clearOidcCredentials({
      ...sessionOptions(flags),
      ...(backend !== undefined && { credentialsBackend: backend }),
      all,
      revoke: flags.has("revoke"),
    });
    const { revocation } = result;
    printResult(invocation, { wholeStore: false, ...result }, resultText(result));
    const isMissed = revocation === "failed" || revocation === "not_supported";
    if (isMissed && flags.has("quiet")) note(revocationText(result));
    return isMissed ? EXIT.failure : EXIT.ok;
  },
};

function resultText(result: ClearResult): string {
  const { keys, wholeStore } = result;
  const removed = wholeStore
    ? "Removed the whole store, which could not be read.\n"
    : keys.length === 0
    ? "Nobody was signed in.\n"
    : keys.map((key) => `Removed ${printable(key, 500)}\n`).join("");
  return removed + revocationText(result);
}

function revocationText({ revocation, reason }: ClearResult): string {
  if (revocation === "not_requested") return "";
  if (revocation === "revoked") return "The provider has ended the tokens.\n";
  if (revocation === "nothing_to_revoke") return "There was nothing to revoke.\n";
  const why = reason?.replace(/\.$/, "") ?? "the provider did not say why";
  return `The tokens could not be revoked: ${why}. They live on there until they end; end them on ` +
    `the provider's own page.\n`;
}
