// What each command says that it needs is enough, and all of it is needed: as
// permission_proof_slow_test.ts shows for the module itself.
import { assertEquals } from "@std/assert";
import { SEPARATOR } from "@std/path";
import { formatPermissionFlags, type PermissionNeed } from "@validmind/auth";
import { permissionFlagsOf } from "../../support/permission_flags.ts";
import { cliTest, type CliWorld, ENDED, quoted } from "../../client/cli/cli_world.ts";

/** Puts the store into the state in which a command needs the most. */
async function prepare(world: CliWorld): Promise<void> {
  await world.signIn();
  await world.amend({ expires_at: ENDED });
  await world.write({ path: `${world.home}/kv.db` }, "to.json");
  const { issuer } = world.provider;
  await world.write({ issuer, clientId: "other" }, "config.json");
}

/** The command, its exit code, and the flags by which `permissions` knows of it. */
const COMMANDS: [line: string, code: number, ...about: string[]][] = [
  ["login", 0, ""],
  ["status", 0, ""],
  ["list", 0, ""],
  ["token", 0, ""],
  ["logout --revoke", 0, ""],
  // Each store of a migration is named by itself.
  [
    "migrate --from file --to kv --to-options 'HOME/to.json' --delete-source",
    0,
    "--backend file",
    "--backend kv --backend-options 'HOME/to.json'",
  ],
  ["doctor", 0, ""],
  ["config", 0, ""],
  ["status --config 'HOME/config.json'", 0, "--config 'HOME/config.json'"],
  ["permissions", 0, ""],
  ["--help", 0, ""],
];

/** The permissions that `permissions` names, each once, and no file that is granted with its folder. */
async function needsOf(world: CliWorld, about: readonly string[]): Promise<PermissionNeed[]> {
  const byFlag = new Map<string, PermissionNeed>();
  for (const flags of about) {
    const { json } = await world.says(`permissions --json --for cli ${flags}`, 0);
    for (const one of json.needs as PermissionNeed[]) {
      if (one.need !== "optional") byFlag.set(formatPermissionFlags([one]), one);
    }
  }
  const once = [...byFlag.values()];
  const isWider = (one: PermissionNeed, other: PermissionNeed) =>
    (one.name === "read" || one.name === "write") && other.name === one.name &&
    String(one.path).startsWith(`${other.path}/`);
  return once.filter((need) => !once.some((other) => isWider(need, other)));
}

const flagsOf = (
  needs: readonly PermissionNeed[],
) => ["--unstable-kv", ...permissionFlagsOf(needs)];

for (const [line, code, ...about] of COMMANDS) {
  cliTest(`permissions: ${line} runs with what permissions names`, async (world) => {
    await prepare(world);
    if (line.startsWith("login")) await world.backend.delete(world.key);
    const inHome = (text: string) =>
      text.replace(/'HOME\/(.*)'/, (_, name) => quoted(world.home + SEPARATOR + name));
    const flags = flagsOf(await needsOf(world, about.map(inHome)));
    const { stderr } = await world.says(inHome(line), code, { flags });
    if (!line.startsWith("login")) assertEquals(stderr, ""); // there it is where the person is asked
  });
}

cliTest("permissions: a login runs with no less than permissions names", async (world) => {
  const needs = await needsOf(world, [""]);
  for (const dropped of needs) {
    const flags = flagsOf(needs.filter((need) => need !== dropped));
    await world.says("login", 1, "error (permission_required): Cannot", { flags });
  }
});
