import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { cliTest, NO_CLIENT } from "../cli_world.ts";

cliTest("logout: removes the entry; --revoke ends the tokens", async (world) => {
  await world.signIn();
  const { code, stdout, stderr } = await world.run(["logout"]);
  assertEquals([code, stdout, stderr], [0, `Removed ${world.key}\n`, ""]);
  assertEquals([world.backend.get(world.key), world.provider.requests], [undefined, []]);
  assertEquals((await world.run(["logout"])).stdout, "Nobody was signed in.\n");

  const { refresh_token } = await world.signIn();
  const revoked = await world.run(["logout", "--revoke", "--json"]);
  const report = { keys: [world.key], revocation: "revoked", whole_store: false };
  assertEquals([revoked.code, JSON.parse(revoked.stdout)], [0, report]);
  assertEquals(await world.provider.isActive(refresh_token!), false);
});

cliTest("logout: a revocation that did not happen is exit code 1", async (world) => {
  for (const quiet of [[], ["--quiet"]]) {
    await world.signIn();
    const { code, stdout, stderr } = await world.run(["logout", "--revoke", ...quiet]);
    assertEquals([code, world.backend.get(world.key)], [1, undefined]);
    const text = quiet.length === 0 ? stdout : stderr;
    assertStringIncludes(text, "The tokens could not be revoked: the provider has no");
    if (quiet.length > 0) assertEquals(stdout, "");
  }
}, { options: { revocation: false } });

cliTest("logout: --all removes everybody, and needs no settings", async (world) => {
  const others = ["https://other.example|app", world.key].toSorted();
  for (const key of others) await world.backend.put(key, { ...await world.signIn() });
  const { code, stdout } = await world.run(["logout", "--all", "--json"], { env: NO_CLIENT });
  assertEquals([code, JSON.parse(stdout).keys.toSorted()], [0, others]);
  assertEquals(await Array.fromAsync(world.backend.list()), []);
});

const DAMAGED = '{"version": 1, "credentials": {"a';

cliTest("logout: a damaged store stays, unless --all deletes it", async (world) => {
  await world.signIn();
  await Deno.writeTextFile(world.backend.path, DAMAGED);
  for (const args of [["logout"], ["logout", "--revoke"]]) {
    const { code, stdout, stderr } = await world.run(args);
    assertEquals([code, stdout], [1, ""]);
    assertStringIncludes(stderr, "error (backend_corrupt): Cannot");
    assertStringIncludes(stderr, "validmind-auth logout --all");
    assert(!stderr.includes("clearOidcCredentials"), stderr);
    assertEquals(await Deno.readTextFile(world.backend.path), DAMAGED);
  }
  const { code, stdout } = await world.run(["logout", "--all"]);
  assertEquals(code, 0);
  assertStringIncludes(stdout, "Removed the whole store");
  await assertRejects(() => Deno.stat(world.backend.path), Deno.errors.NotFound);
});

cliTest("logout: --all deletes no store that is only away", async (world) => {
  const path = `${world.home}/away.ts`;
  await Deno.writeTextFile(
    path,
    `export class Away {
    get() {} put() {} delete() {}
    deleteAll() { Deno.writeTextFileSync(${JSON.stringify(`${path}.deleted`)}, ""); }
    async *list() { throw new Error("away"); }
  }`,
  );
  const { code, stdout, stderr } = await world.run([
    "logout",
    "--all",
    "--backend",
    `${path}:Away`,
  ]);
  assertEquals([code, stdout], [1, ""]);
  assertStringIncludes(stderr, "error (backend_unavailable): Cannot list credentials");
  await assertRejects(() => Deno.stat(`${path}.deleted`), Deno.errors.NotFound);
});
