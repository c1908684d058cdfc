// What each command says that it needs is enough, all of it is needed, and nothing beyond it is
// touched: as permission_proof_slow_test.ts does for the module itself.
import { normalize } from "@std/path";
import { assertEquals, assertStringIncludes } from "@std/assert";
import { formatPermissionFlags, type PermissionNeed } from "@validmind/auth";
import { HOME_VARIABLE } from "../../../backends/common/platform.ts";
import { SCOPES } from "../../../client/format_permissions.ts";
import { permissionFlagsOf } from "../../support/permission_flags.ts";
import { type CliWorld, cliWorld } from "../../client/cli/cli_world.ts";

interface Case {
  /** `HOME` in one stands for the home folder. */
  readonly args: string[];
  /** Puts the store into the state in which the command needs the most. */
  readonly prepare?: (world: CliWorld) => Promise<unknown>;
}

const expired = async (world: CliWorld) => {
  await world.signIn();
  await world.amend({ expires_at: "2020-01-01T00:00:00Z" });
};
const signedOut = async (world: CliWorld) => await world.backend.delete(world.key);
const signedIn = async (world: CliWorld) => await world.signIn();

const withSettings = async (world: CliWorld) => {
  await world.signIn();
  const { issuer } = world.provider;
  const entry = { issuer, clientId: "other", clientKeyFile: "/keys/app.pem", backend: "file" };
  await Deno.writeTextFile(`${world.home}/config.json`, JSON.stringify(entry));
};

const CASES: Case[] = [
  { args: ["login", "--quiet"], prepare: signedOut },
  { args: ["status", "--quiet"], prepare: signedIn },
  { args: ["list"], prepare: signedIn },
  { args: ["token"], prepare: expired },
  { args: ["logout", "--revoke", "--quiet"], prepare: signedIn },
  {
    args: ["migrate", "--from", "file", "--to", "kv", "--to-options", "HOME/to.json", "--quiet"],
    prepare: async (world) => {
      await signedIn(world);
      const text = `{"path": "\${${HOME_VARIABLE}}/kv.db"}`;
      await Deno.writeTextFile(`${world.home}/to.json`, text);
    },
  },
  { args: ["doctor", "--quiet"], prepare: signedIn },
  { args: ["config"] },
  { args: ["status", "--quiet", "--config", "HOME/config.json"], prepare: withSettings },
  { args: ["permissions"] },
  { args: ["--help"] },
];

const argsIn = (words: readonly string[], home: string) =>
  words.map((word) => word.startsWith("HOME/") ? normalize(home + word.slice(4)) : word);

/** The permissions that `permissions` names for a command. */
async function needsFor(world: CliWorld, args: readonly string[]): Promise<PermissionNeed[]> {
  // Each store of a migration is named by itself.
  const stores = args[0] === "migrate"
    ? [["--backend", "file"], ["--backend", "kv", "--backend-options", args[args.length - 2]!]]
    : [args.filter((word, index) => word === "--config" || args[index - 1] === "--config")];
  const all = []; // one after the other: they share the streams of this process
  for (const options of stores) all.push(await needsOf(world, options));
  return all.flat();
}

async function needsOf(world: CliWorld, options: string[]): Promise<PermissionNeed[]> {
  const args = ["permissions", "--json", "--for", "cli", ...options];
  const { stdout, stderr } = await world.run(args);
  assertEquals(stderr, "");
  const { needs } = JSON.parse(stdout) as {
    needs: { name: string; scope?: string; need: PermissionNeed["need"] }[];
  };
  return needs.map(({ name, scope, need }) => ({
    name,
    ...(scope !== undefined && { [SCOPES[name as keyof typeof SCOPES]]: scope }),
    need,
    reason: "",
  } as PermissionNeed));
}

for (const { args: words, prepare } of CASES) {
  const name = words.includes("--config") ? "--config" : words[0]!;

  Deno.test(`permissions: ${name} runs with what permissions names`, async () => {
    await using world = await cliWorld();
    const args = argsIn(words, world.home);
    await prepare?.(world);
    const needs = (await needsFor(world, args)).filter(({ need }) => need !== "optional");
    const { code, stderr } = await world.run(args, { flags: formatted(narrowed(needs)) });
    assertEquals(code, 0, stderr);
    if (name !== "login") assertEquals(stderr, ""); // there it is where the person is asked
  });
}

Deno.test("permissions: a login runs with no less than permissions names", async () => {
  await using world = await cliWorld();
  const all = (await needsFor(world, ["login"])).filter(({ need }) => need !== "optional");
  const needs = narrowed(all);
  for (const dropped of needs) {
    await signedOut(world);
    const flags = formatted(needs.filter((need) => need !== dropped));
    const { code, stderr } = await world.run(["login", "--quiet"], { flags });
    assertEquals(code, 1, `runs without ${JSON.stringify(dropped)}`);
    assertStringIncludes(stderr, "error (permission_required): Cannot");
  }
});

/** Each once, and no file that is granted with its folder. */
function narrowed(needs: readonly PermissionNeed[]): PermissionNeed[] {
  const byFlag = new Map(needs.map((need) => [formatPermissionFlags([need]), need]));
  const once = [...byFlag.values()];
  const isWider = (one: PermissionNeed, other: PermissionNeed) =>
    (one.name === "read" || one.name === "write") && other.name === one.name &&
    String(one.path).startsWith(`${other.path}/`);
  return once.filter((need) => !once.some((other) => isWider(need, other)));
}

function formatted(needs: readonly PermissionNeed[]): string[] {
  return ["--unstable-kv", ...permissionFlagsOf(needs)];
}
