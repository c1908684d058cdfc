import { assertEquals, assertStringIncludes } from "@std/assert";
import { FileCredentialsBackend } from "../../../../backends/file.ts";
import { cliTest } from "../cli_world.ts";

cliTest("migrate: copies with a warning; --delete-source moves", async (world) => {
  const entry = await world.signIn();
  const path = `${world.home}/new/tokens.json`;
  const to = new FileCredentialsBackend({ path });
  await Deno.writeTextFile(`${world.home}/to.json`, JSON.stringify({ path }));
  const copy = ["migrate", "--from", "file", "--to", "file", "--to-options", "to.json"];
  const copied = await world.run(copy);
  assertEquals([copied.code, copied.stdout], [0, `Copied   ${world.key}\n`]);
  assertStringIncludes(copied.stderr, "warning: 1 refresh token(s) are now in both places");
  assertEquals([to.get(world.key), world.stored()], [entry, entry]);
  await to.delete(world.key);

  const env = {
    VM_OIDC_CREDENTIALS_BACKEND: "file",
    VM_OIDC_CREDENTIALS_BACKEND_KWARGS: JSON.stringify({ path }),
  };
  const move = ["migrate", "--from", "file", "--delete-source", "--json"];
  const { code, stdout, stderr } = await world.run(move, { env });
  assertEquals([code, stderr], [0, ""]);
  const report = { copied: [world.key], kept: [], deleted: [world.key], live_copies: [] };
  assertEquals(JSON.parse(stdout), report);
  assertEquals([to.get(world.key), world.backend.get(world.key)], [entry, undefined]);
  const again = await world.run(["migrate", "--from", "file"], { env });
  assertEquals(again.stdout, "There is nothing to migrate.\n");
});
