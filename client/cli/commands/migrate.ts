import { printable } from "../../../backends/common/printable.ts";
import { migrateCredentials, type MigrationResult } from "../../../backends/migrate_credentials.ts";
import { assertPersistent, chooseBackend } from "../sign_in_target.ts";
import { type Command, EXIT, printResult } from "../command.ts";
import { note, usageError } from "../output.ts";

export const migrate: Command = {
  name: "migrate",
  summary: "copy or move all entries from one backend to another",
  details: [
    "Either of --from and --to may be left out: it is then the backend that the " +
    "environment or the settings file names, with its options. A copy is read back before it counts, and an " +
    "interrupted run can be repeated. Without --delete-source a refresh token is in two " +
    "places, and the first refresh may end the other copy.",
  ],
  flags: [
    "profile",
    "config",
    "from",
    "from-options",
    "to",
    "to-options",
    "delete-source",
    "json",
    "quiet",
  ],
  examples: [
    "migrate --from file --delete-source",
    "migrate --from file --to kv --to-options kv.json --delete-source",
  ],
  action: "migrate credentials",
  async run(invocation) {
    const { flags } = invocation;
    if (!flags.has("from") && !flags.has("to")) {
      throw usageError("Cannot migrate: neither --from nor --to is given. Give one, or both.");
    }
    const from = await chooseBackend(flags, migrate.action, [], "from");
    const to = await chooseBackend(flags, migrate.action, from.needs, "to");
    assertPersistent(to.backend, migrate.action);
    const deleteSource = flags.has("delete-source");
    const result = await migrateCredentials(from.backend, to.backend, { deleteSource });
    const { liveCopies } = result;
    printResult(invocation, result, resultText(result));
    if (liveCopies.length > 0 && !flags.has("quiet")) {
      note(
        `warning: ${liveCopies.length} refresh token(s) are now in both places, and the first ` +
          `refresh may end the other copy. Run it again with --delete-source.\n`,
      );
    }
    return EXIT.ok;
  },
};

function resultText({ copied, kept, deleted }: MigrationResult): string {
  const text = [
    [copied, "Copied  ", ""],
    [kept, "Kept    ", " (the target had it, or a newer one)"],
    [deleted, "Deleted ", " (from the source)"],
  ] as const;
  const lines = text.flatMap(([keys, verb, more]) =>
    keys.map((key) => `${verb} ${printable(key, 500)}${more}\n`)
  );
  return lines.join("") || "There is nothing to migrate.\n";
}
