import { assertEquals, assertRejects } from "@std/assert";
import { cliTest, NO_CLIENT } from "../cli_world.ts";

cliTest("logout: removes the entry; --revoke ends the tokens", async (world) => {
  await world.signIn();
  assertEquals((await world.says("logout", 0)).stdout, `Removed ${world.key}\n`);
  assertEquals([world.backend.get(world.key), world.provider.requests], [undefined, []]);
  await world.says("logout", 0, /^Nobody was signed in\.\n$/);

  const { refresh_token } = await world.signIn();
  const { json } = await world.says("logout --revoke --json", 0);
  assertEquals(json, { keys: [world.key], revocation: "revoked", whole_store: false });
  assertEquals(await world.provider.isActive(refresh_token!), false);
});

cliTest("logout: a revocation that did not happen is exit code 1", async (world) => {
  const words = "The tokens could not be revoked: the provider has no";
  for (const quiet of ["", "--quiet"]) {
    await world.signIn();
    const { stdout } = await world.says(`logout --revoke ${quiet}`, 1, words);
    assertEquals([stdout === "", world.backend.get(world.key)], [quiet !== "", undefined]);
  }
}, { options: { revocation: false } });

cliTest("logout: --all removes everybody, and needs no settings", async (world) => {
  const others = ["https://other.example|app", world.key].toSorted();
  for (const key of others) await world.backend.put(key, { ...await world.signIn() });
  const { json } = await world.says("logout --all --json", 0, { env: NO_CLIENT });
  assertEquals(json.keys.toSorted(), others);
  assertEquals(await Array.fromAsync(world.backend.list()), []);
});

cliTest("logout: a damaged store stays, unless --all deletes it", async (world) => {
  const damaged = '{"version": 1, "credentials": {"a';
  const path = await world.write(damaged, ".validmind/credentials.json");
  const words = ["error (backend_corrupt): Cannot", "validmind-auth logout --all", "!clearOidc"];
  for (const line of ["logout", "logout --revoke"]) {
    assertEquals((await world.says(line, 1, ...words)).stdout, "");
    assertEquals(await Deno.readTextFile(path), damaged);
  }
  await world.says("logout --all", 0, "Removed the whole store");
  await assertRejects(() => Deno.stat(path), Deno.errors.NotFound);
});

cliTest("logout: --all deletes no store that is only away", async (world) => {
  const deleted = `${world.home}/deleted`;
  const path = await world.write(
    `export class Away {
      get() {} put() {} delete() {}
      deleteAll() { Deno.writeTextFileSync(${JSON.stringify(deleted)}, ""); }
      async *list() { throw new Error("away"); }
    }`,
    "away.ts",
  );
  const words = "error (backend_unavailable): Cannot list credentials";
  assertEquals((await world.says(`logout --all --backend ${path}:Away`, 1, words)).stdout, "");
  await assertRejects(() => Deno.stat(deleted), Deno.errors.NotFound);
});
