import type { ClearResult } from "../../session.ts";
import { clearOidcCredentials } from "../../init.ts";
import { printable } from "../../../backends/common/printable.ts";
import type { OidcCredentialsBackend } from "../../../backends/oidc_credentials_backend.ts";
import { isCorrupt } from "../../tokens/clear.ts";
import { type Command, EXIT, printResult } from "../command.ts";
import type { FlagValues } from "../flags.ts";
import type { Output } from "../output.ts";
import { placeOf, placeReport } from "../status_report.ts";
import {
  chooseBackend,
  findTarget,
  IDENTITY_FLAGS,
  sessionOptions,
  STORE_FLAGS,
} from "../sign_in_target.ts";
import { usageError } from "../cli_error.ts";
import { listKeys } from "./list.ts";

export const logout: Command = {
  name: "logout",
  summary: "remove the stored tokens",
  details: [
    "The entry is removed here whatever the network does. With --revoke, exit code 1 " +
    "means that the provider refused or failed: the tokens may then live on there until " +
    "they end. It is no failure if nobody was signed in.",
    "--all removes every entry, and in a terminal asks first unless --yes is given. Only --all " +
    "deletes a store that cannot be read.",
  ],
  flags: [...IDENTITY_FLAGS, ...STORE_FLAGS, "revoke", "all", "yes", "json", "quiet"],
  examples: ["logout", "logout --revoke", "logout --all"],
  action: "sign out",
  async run(invocation) {
    const { flags, output } = invocation;
    checkTogether(flags);
    const all = flags.has("all");
    await using stack = new AsyncDisposableStack();
    // With --all nobody is named.
    const chosen = all
      ? stack.use(await chooseBackend(flags, logout.action))
      : stack.use(await findTarget(flags, logout.action)).stored?.chosen;
    const mayAsk = Deno.stdin.isTerminal() && Deno.stderr.isTerminal() && !flags.has("yes");
    if (all && mayAsk && !await isConfirmed(chosen!.backend, output)) {
      output.note("Nothing was removed.\n");
      return EXIT.failure;
    }
    const result = await clearOidcCredentials({
      ...sessionOptions(flags),
      ...(chosen !== undefined && { credentialsBackend: chosen.backend }),
      all,
      revoke: flags.has("revoke"),
    });
    const { keys, revocation, reason, wholeStore = false } = result;
    const json = { keys, revocation, reason, whole_store: wholeStore };
    printResult(invocation, json, resultText(result));
    const isMissed = revocation === "failed" || revocation === "not_supported";
    if (isMissed && flags.has("quiet")) output.note(revocationText(result));
    return isMissed ? EXIT.failure : EXIT.ok;
  },
};

function checkTogether(flags: FlagValues): void {
  const given = IDENTITY_FLAGS.find((name) => flags.has(name));
  if (flags.has("all") && given !== undefined) {
    throw usageError(`Cannot use --${given} with --all, which means everybody. Give one.`);
  }
}

/** Whether the person agrees to remove all entries. Nothing is asked if there are none. */
async function isConfirmed(backend: OidcCredentialsBackend, output: Output): Promise<boolean> {
  const place = placeOf(placeReport(backend));
  let question = `Delete the whole store ${place}, which cannot be read?`;
  try {
    const { length } = await listKeys(backend);
    if (length === 0) return true;
    question = `Remove ${length} sign-in${length === 1 ? "" : "s"} from ${place}?`;
  } catch (error) {
    if (!isCorrupt(error)) throw error;
  }
  output.note(`${question} [y/N] `);
  const buffer = new Uint8Array(256);
  const length = await Deno.stdin.read(buffer) ?? 0;
  return /^y(es)?$/i.test(new TextDecoder().decode(buffer.subarray(0, length)).trim());
}

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
