import { assertEquals, assertStringIncludes } from "@std/assert";
import { FileCredentialsBackend } from "../../../../backends/file.ts";
import { type CliWorld, cliWorld } from "../cli_world.ts";

async function target(world: CliWorld): Promise<FileCredentialsBackend> {
  const path = `${world.home}/new/tokens.json`;
  await Deno.writeTextFile(`${world.home}/to.json`, JSON.stringify({ path }));
  return new FileCredentialsBackend({ path });
}

const TO = ["--to", "file", "--to-options", "to.json"];

Deno.test("migrate: copies, and says that a refresh token is in both", async () => {
  await using world = await cliWorld();
  const entry = await world.signIn();
  const to = await target(world);
  const { code, stdout, stderr } = await world.run(["migrate", "--from", "file", ...TO]);
  assertEquals([code, stdout], [0, `Copied   ${world.key}\n`]);
  assertStringIncludes(stderr, "warning: 1 refresh token(s) are now in both places");
  assertEquals(to.get(world.key), entry);
  assertEquals(world.stored(), entry);
});

Deno.test("migrate: --delete-source moves, to a store that the environment names", async () => {
  await using world = await cliWorld();
  const entry = await world.signIn();
  const to = await target(world);
  const env = {
    VM_OIDC_CREDENTIALS_BACKEND: "file",
    VM_OIDC_CREDENTIALS_BACKEND_KWARGS: JSON.stringify({ path: to.path }),
  };
  const args = ["migrate", "--from", "file", "--delete-source", "--json"];
  const { code, stdout, stderr } = await world.run(args, { env });
  assertEquals([code, stderr], [0, ""]);
  assertEquals(JSON.parse(stdout), {
    copied: [world.key],
    kept: [],
    deleted: [world.key],
    live_copies: [],
  });
  assertEquals(to.get(world.key), entry);
  assertEquals(world.backend.get(world.key), undefined);
  const again = await world.run(["migrate", "--from", "file"], { env });
  assertEquals(again.stdout, "There is nothing to migrate.\n");
});

Deno.test("migrate: into memory would lose the tokens, and is refused", async () => {
  await using world = await cliWorld();
  const entry = await world.signIn();
  for (const to of ["memory", "kv"]) {
    const args = ["migrate", "--from", "file", "--to", to, "--delete-source"];
    const { code, stderr } = await world.run(args);
    assertEquals(code, 2);
    assertStringIncludes(stderr, "keeps tokens only while this program runs");
    assertEquals(world.stored(), entry);
  }
});

for (
  const [name, args, words] of [
    ["no backend", [], "neither --from nor --to is given"],
    ["options without a name", ["--to", "file", "--from-options", "x"], "it needs --from"],
  ] as const
) {
  Deno.test(`migrate: ${name} is exit code 2`, async () => {
    await using world = await cliWorld();
    const { code, stderr } = await world.run(["migrate", ...args]);
    assertEquals(code, 2);
    assertStringIncludes(stderr, words);
  });
}
