import { describeBackend } from "../../../backends/common/describe_backend.ts";
import { printable } from "../../../backends/common/printable.ts";
import { migrateCredentials, type MigrationResult } from "../../../backends/migrate_credentials.ts";
import { assertAllowed, findOrigin } from "../../options/places.ts";
import { type CommandCall, usageError } from "../command.ts";
import { note, printResult } from "../output.ts";
import { valueFlags } from "../report_error.ts";
import { assertPersistent, chooseStore, sessionOptions } from "../sign_in_target.ts";

export async function run({ flags, command }: CommandCall) {
  if (!flags.has("from") && !flags.has("to")) {
    throw usageError("Cannot migrate: neither --from nor --to is given. Give one, or both.");
  }
  const from = await chooseStore(flags, command.action, [], "from");
  const to = await chooseStore(flags, command.action, from.needs, "to");
  assertPersistent(to.backend, command.action, "Give one that keeps them, such as --to file.");
  const { settings } = await findOrigin(sessionOptions(flags), command.action);
  assertAllowed(settings, command.action, to.backend);
  const result = await migrateCredentials(from.backend, to.backend, {
    deleteSource: flags.has("delete-source"),
  });
  const { liveCopies } = result;
  let text = migrationText(result) ||
    `There is nothing to migrate in ${describeBackend(from.backend)}.\n`;
  if (result.copied.length > 0 && flags.has("to")) {
    const store = valueFlags(flags, ["to", "to-options"]).replaceAll(" --to", " --backend");
    text += `To use the new store, add${store}. To keep that, use config set.\n`;
  }
  printResult(flags, result, text);
  if (liveCopies.length > 0) {
    note(
      `warning: ${liveCopies.length} refresh token(s) are now in both places. The first refresh of ` +
        `one may end the other. Run migrate again with --delete-source.\n`,
    );
  }
}

function migrationText({ copied, kept, deleted }: MigrationResult) {
  const text = [
    [copied, "Copied  ", ""],
    [kept, "Kept    ", " (the target had it, or a newer one)"],
    [deleted, "Deleted ", " (from the source)"],
  ] as const;
  return text.flatMap(([keys, verb, more]) =>
    keys.map((key) => `${verb} ${printable(key)}${more}\n`)
  ).join("");
}
