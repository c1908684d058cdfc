import { printable } from "../../../backends/common/printable.ts";
import { migrateCredentials, type MigrationResult } from "../../../backends/migrate_credentials.ts";
import type { AuthEvent } from "../../auth_event.ts";
import { createSession } from "../../create_session.ts";
import { asksNobody } from "../../entry/bearer_kind.ts";
import { clearOidcCredentials } from "../../init.ts";
import type { ClearResult } from "../../session.ts";
import {
  type Command,
  EXIT,
  type FlagValues,
  note,
  print,
  printResult,
  snakeCase,
  toJsonText,
  usageError,
} from "../command.ts";
import {
  assertPersistent,
  chooseBackend,
  findTarget,
  IDENTITY_FLAGS,
  OPTION_FLAGS,
  sessionOptions,
  type SignInTarget,
  STORE_FLAGS,
} from "../sign_in_target.ts";
import { readStatus, statusText } from "./status.ts";

export const login: Command = {
  name: "login",
  summary: "sign in, and keep the tokens",
  details: [
    "Shows a link and a code on standard error, and waits for the approval. --flow browser opens the " +
    "browser, which comes back to this computer. If the browser is on another machine, paste the " +
    "address of its last page.",
    "A stored sign-in that is still good is kept. To sign in as somebody else, run logout first. " +
    "VM_OIDC_INTERACTIVE=0 does not count here, since a person runs this command.",
    "--flow client_credentials asks nobody: the client gets a token for itself. --flow token_exchange " +
    "gets a token for the person of another token.",
    "--json prints each step as a line of JSON, with link and code. The last line is the report of " +
    "status.",
  ],
  flags: [
    ...OPTION_FLAGS.filter((name) => name !== "api-host"),
    "no-open",
    "json",
    "quiet",
  ],
  examples: [
    "login",
    "login --flow browser --login-hint ada@example.com --parameter prompt=login",
    "login --flow client_credentials",
  ],
  action: "sign in",
  async run(flags) {
    const target = await findTarget(flags, login.action);
    const isNew = await signIn(target, flags);
    const report = await readStatus(target);
    const already = isNew || target === undefined
      ? ""
      : "Already signed in. To sign in as somebody else, run logout first.\n";
    // In a terminal the prompt has said it, unless its own stream goes elsewhere.
    const isSaid = isNew && report.flow === undefined &&
      [Deno.stdout, Deno.stderr].every((stream) => stream.isTerminal());
    if (flags.has("json")) print(toJsonText(snakeCase(report)));
    else if (!flags.has("quiet") && !isSaid) print(already + statusText(report, target));
    return EXIT.ok;
  },
};

/** Signs in, and tells whether the stored sign-in did not serve. */
async function signIn(
  target: SignInTarget | undefined,
  flags: FlagValues,
): Promise<boolean> {
  if (target === undefined) return false;
  const { backend, identity } = target;
  assertPersistent(backend, login.action);
  const tell = (step: object) => print(toJsonText(snakeCase(step)));
  const isAlone = asksNobody(identity.flow);
  let isAsked = false;
  await using _session = await createSession({
    ...sessionOptions(flags),
    credentialsBackend: backend,
    interactive: true,
    onEvent: ({ time: _, ...event }: AuthEvent) => {
      isAsked ||= event.type === (isAlone ? "refresh_done" : "sign_in_started");
      // With link and code below.
      const isShown = event.type === "code_shown" || event.type === "link_shown";
      if (flags.has("json") && !isShown) tell(event);
    },
    ...(flags.has("json") && {
      onDeviceCode: (code) => {
        tell({ type: "code_shown", ...code });
        note(`Open ${code.verificationUri} and enter ${code.userCode}\n`);
      },
      onAuthorizationUrl: ({ submit: _, ...link }) => {
        tell({ type: "link_shown", ...link });
        note(`Open ${link.url}\n`);
      },
    }),
  });
  return isAsked;
}

export const logout: Command = {
  name: "logout",
  summary: "remove the stored tokens",
  details: [
    "The entry is removed here even if the network fails. With --revoke, exit code 1 means that the " +
    "provider did not revoke the tokens, which may stay valid until they end. If nobody was signed in, " +
    "the exit code is 0.",
    "--all removes every entry without a question, also those of other people who share the store. Only " +
    "--all deletes a store that cannot be read.",
  ],
  flags: [...IDENTITY_FLAGS, ...STORE_FLAGS, "revoke", "all", "json", "quiet"],
  examples: ["logout", "logout --revoke", "logout --all"],
  action: "sign out",
  async run(flags) {
    const all = flags.has("all");
    const given = IDENTITY_FLAGS.find((name) => flags.has(name));
    if (all && given !== undefined) {
      throw usageError(`Cannot use --${given} with --all: --all is for everybody. Give one.`);
    }
    // With --all nobody is named.
    const { backend } = all
      ? await chooseBackend(flags, logout.action)
      : await findTarget(flags, logout.action) ?? {};
    const result = await clearOidcCredentials({
      ...sessionOptions(flags),
      credentialsBackend: backend,
      all,
      revoke: flags.has("revoke"),
    });
    const { revocation } = result;
    printResult(flags, { wholeStore: false, ...result }, removalText(result));
    const isMissed = revocation === "failed" || revocation === "not_supported";
    if (isMissed && flags.has("quiet")) note(revocationText(result));
    return isMissed ? EXIT.failure : EXIT.ok;
  },
};

function removalText(result: ClearResult): string {
  const { keys, wholeStore } = result;
  const removed = wholeStore
    ? "Removed the whole store, which could not be read.\n"
    : keys.map((key) => `Removed ${printable(key, 500)}\n`).join("") || "Nobody was signed in.\n";
  return removed + revocationText(result);
}

function revocationText({ revocation, reason }: ClearResult): string {
  if (revocation === "not_requested") return "";
  if (revocation === "revoked") return "The provider has ended the tokens.\n";
  if (revocation === "nothing_to_revoke") return "There was nothing to revoke.\n";
  const why = reason?.replace(/\.$/, "") ?? "the provider did not say why";
  return `The tokens could not be revoked: ${why}. They may stay valid until they end. End them on the ` +
    `provider's own page.\n`;
}

export const migrate: Command = {
  name: "migrate",
  summary: "copy or move all entries from one backend to another",
  details: [
    "One of --from and --to may be left out. It is then the backend that the environment or the settings " +
    "file names. Each copy is read back before it counts. An interrupted run can be repeated.",
    "Without --delete-source a refresh token is in two places. The first refresh of one may end the other.",
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
  async run(flags) {
    if (!flags.has("from") && !flags.has("to")) {
      throw usageError("Cannot migrate: neither --from nor --to is given. Give one, or both.");
    }
    const from = await chooseBackend(flags, migrate.action, [], "from");
    const to = await chooseBackend(flags, migrate.action, from.needs, "to");
    assertPersistent(to.backend, migrate.action);
    const result = await migrateCredentials(from.backend, to.backend, {
      deleteSource: flags.has("delete-source"),
    });
    const { liveCopies } = result;
    printResult(flags, result, migrationText(result));
    if (liveCopies.length > 0 && !flags.has("quiet")) {
      note(
        `warning: ${liveCopies.length} refresh token(s) are now in both places. The first refresh of ` +
          `one may end the other. Run migrate again with --delete-source.\n`,
      );
    }
    return EXIT.ok;
  },
};

function migrationText({ copied, kept, deleted }: MigrationResult): string {
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
