import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { cliWorld } from "../cli_world.ts";

Deno.test("logout: removes the entry, and again is no failure", async () => {
  await using world = await cliWorld();
  await world.signIn();
  const { code, stdout, stderr } = await world.run(["logout"]);
  assertEquals([code, stdout, stderr], [0, `Removed ${world.key}\n`, ""]);
  assertEquals(world.backend.get(world.key), undefined);
  assertEquals(world.provider.requests, []);
  assertEquals((await world.run(["logout"])).stdout, "Nobody was signed in.\n");
});

Deno.test("logout: --revoke ends the tokens at the provider", async () => {
  await using world = await cliWorld();
  const { refresh_token } = await world.signIn();
  const { code, stdout } = await world.run(["logout", "--revoke", "--json"]);
  assertEquals(code, 0);
  assertEquals(JSON.parse(stdout), {
    keys: [world.key],
    revocation: "revoked",
    whole_store: false,
  });
  assertEquals(await world.provider.isActive(refresh_token!), false);
});

Deno.test("logout: a revocation that did not happen is exit code 1, and the entry is gone", async () => {
  await using world = await cliWorld({ revocation: false });
  await world.signIn();
  const { code, stdout } = await world.run(["logout", "--revoke"]);
  assertEquals(code, 1);
  assertStringIncludes(stdout, "The tokens could not be revoked: the provider has no");
  assertEquals(world.backend.get(world.key), undefined);

  await world.signIn();
  const quiet = await world.run(["logout", "--revoke", "--quiet"]);
  assertEquals([quiet.code, quiet.stdout], [1, ""]);
  assertStringIncludes(quiet.stderr, "The tokens could not be revoked");
});

Deno.test("logout: --all removes everybody, and needs no settings", async () => {
  await using world = await cliWorld();
  await world.backend.put("https://other.example|app", { ...await world.signIn() });
  const env = { VM_OIDC_ISSUER: "", VM_OIDC_CLIENT_ID: "" };
  const { code, stdout } = await world.run(["logout", "--all", "--json"], { env });
  assertEquals(code, 0);
  assertEquals(
    JSON.parse(stdout).keys.toSorted(),
    [
      world.key,
      "https://other.example|app",
    ].toSorted(),
  );
  assertEquals(await Array.fromAsync(world.backend.list()), []);
});

Deno.test("logout: --all and a client contradict each other", async () => {
  await using world = await cliWorld();
  await world.signIn();
  const { code, stderr } = await world.run(["logout", "--all", "--client-id", "x"]);
  assertEquals(code, 2);
  assertStringIncludes(stderr, "Cannot use --client-id with --all");
  world.stored();
});

const DAMAGED = '{"version": 1, "credentials": {"a';

Deno.test("logout: a damaged store stays, and the error names the command that deletes it", async () => {
  await using world = await cliWorld();
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
