import { migrateCredentials, type MigrationResult } from "../../../backends/migrate_credentials.ts";
import type { OidcCredentialsBackend } from "../../../backends/oidc_credentials_backend.ts";
import { backendNeeds, preflight } from "../../permissions/preflight.ts";
import type { PermissionNeed } from "../../permission_need.ts";
import { assertPersistent, chooseBackend, type ChosenBackend } from "../choose_backend.ts";
import { type Command, EXIT, type Invocation } from "../command.ts";
import type { FlagValues } from "../flags.ts";
import { Progress } from "../progress.ts";
import { UsageError } from "../usage_error.ts";

const ACTION = "migrate credentials";

/** `migrate`: from one backend to another. */
export const migrate: Command = {
  name: "migrate",
  summary: "copy or move all entries from one backend to another",
  details: [
    "Either of --from and --to may be left out: it is then the backend that the environment names,",
    "with its options. A copy is read back before it counts, and an interrupted run can be repeated.",
    "Without --delete-source a refresh token lives in two places, and the first refresh may end the",
    "other one.",
  ],
  flags: ["from", "from-options", "to", "to-options", "delete-source", "json", "quiet"],
  examples: [
    "migrate --from file --delete-source",
    "migrate --from file --to kv --to-options kv.json --delete-source",
  ],
  needs: async (flags) => {
    await using both = await chooseBoth(flags, "name the permissions");
    return both.needs;
  },
  run: runMigrate,
};

interface Both extends AsyncDisposable {
  readonly from: ChosenBackend;
  readonly to: ChosenBackend;
  readonly needs: PermissionNeed[];
}

async function runMigrate({ flags, output }: Invocation): Promise<number> {
  await using both = await chooseBoth(flags, ACTION);
  assertPersistent(both.to, ACTION);
  await preflight(ACTION, both.needs, "always");
  const deleteSource = flags.has("delete-source");
  const result = await migrateTold(both, deleteSource, flags.has("quiet"));
  if (flags.has("json")) output.print(`${JSON.stringify(toJson(result), null, 2)}\n`);
  else if (!flags.has("quiet")) output.print(resultText(result));
  if (result.liveCopies.length > 0 && !flags.has("quiet")) {
    output.note(
      `warning: ${result.liveCopies.length} refresh token(s) are now in both places, and the first ` +
        `refresh may end the other copy. Run it again with --delete-source.\n`,
    );
  }
  return EXIT.ok;
}

async function migrateTold(
  { from, to }: Both,
  deleteSource: boolean,
  isQuiet: boolean,
): Promise<MigrationResult> {
  using progress = new Progress();
  const tell = (text: string) => isQuiet || progress.tell(text);
  tell("Migrating credentials …");
  return await migrateCredentials(from.backend, to.backend, {
    deleteSource,
    onProgress: ({ done, total }) => void tell(`Migrating credentials: ${done} of ${total} …`),
  });
}

async function chooseBoth(flags: FlagValues, action: string): Promise<Both> {
  if (!flags.has("from") && !flags.has("to")) {
    throw new UsageError(`Cannot ${ACTION}: neither --from nor --to is given. Give one, or both.`);
  }
  if (flags.text("from-options") === "-" && flags.text("to-options") === "-") {
    throw new UsageError(
      `Cannot ${ACTION}: both options are to come from standard input. Give a file.`,
    );
  }
  await using stack = new AsyncDisposableStack();
  const from = stack.use(
    await chooseBackend(flags, action, [], { name: "from", options: "from-options" }),
  );
  const to = stack.use(
    await chooseBackend(flags, action, from.needs, { name: "to", options: "to-options" }),
  );
  const needs = [
    ...from.needs,
    ...to.needs,
    ...[from, to].flatMap(({ backend }) => allNeeds(backend)),
  ];
  const owned = stack.move();
  return { from, to, needs, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Of both all: the target is written, and the source locked. */
function allNeeds(backend: OidcCredentialsBackend): PermissionNeed[] {
  return backendNeeds(backend).map((need) => ({
    ...need,
    reason: "to move the tokens",
    need: "always",
  }));
}

function toJson({ copied, kept, deleted, liveCopies }: MigrationResult) {
  return { copied, kept, deleted, live_copies: liveCopies };
}

function resultText({ copied, kept, deleted }: MigrationResult): string {
  if (copied.length + kept.length === 0) return "There is nothing to migrate.\n";
  return [
    ...copied.map((key) => `Copied   ${key}\n`),
    ...kept.map((key) => `Kept     ${key} (the target had it, or a newer one)\n`),
    ...deleted.map((key) => `Deleted  ${key} (from the source)\n`),
  ].join("");
}
