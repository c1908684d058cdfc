import { assertEquals } from "@std/assert";
import { FileCredentialsBackend } from "../../../../backends/file.ts";
import { cliTest } from "../cli_world.ts";

cliTest("migrate: copies with a warning; --delete-source moves", async (world) => {
  const entry = await world.signIn();
  const path = `${world.home}/new/tokens.json`;
  const to = new FileCredentialsBackend({ path });
  await world.write({ path }, "to.json");
  const warning = "warning: 1 refresh token(s) are now in both places";
  const copied = await world.says("migrate --from file --to file --to-options to.json", 0, warning);
  assertEquals(copied.stdout, `Copied   ${world.key}\n`);
  assertEquals([to.get(world.key), world.stored()], [entry, entry]);
  await to.delete(world.key);

  const env = {
    VM_OIDC_CREDENTIALS_BACKEND: "file",
    VM_OIDC_CREDENTIALS_BACKEND_KWARGS: JSON.stringify({ path }),
  };
  const { json, stderr } = await world.says("migrate --from file --delete-source --json", 0, {
    env,
  });
  const report = { copied: [world.key], kept: [], deleted: [world.key], live_copies: [] };
  assertEquals([json, stderr], [report, ""]);
  assertEquals([to.get(world.key), world.backend.get(world.key)], [entry, undefined]);
  await world.says("migrate --from file", 0, /^There is nothing to migrate\.\n$/, { env });
});
