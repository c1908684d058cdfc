import { assert, assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import { BY_KEY, cliTest, ENDED } from "../cli_world.ts";

cliTest("token: the bearer or a format, and no network", async (world) => {
  const { access_token, expires_at } = await world.signIn();
  const printed = async (...flags: string[]) => {
    const { code, stdout, stderr } = await world.run(["token", ...flags]);
    assertEquals([code, stderr], [0, ""]);
    return stdout;
  };
  assertEquals(await printed(), `${access_token}\n`);
  assertEquals(await printed("--format", "header"), `Authorization: Bearer ${access_token}\n`);
  for (const flags of [["--json"], ["--format", "json"]]) {
    const { expires_in, ...answer } = JSON.parse(await printed(...flags));
    assertEquals(answer, { token: access_token, token_type: "Bearer", expires_at });
    assert(expires_in > 3500 && expires_in <= 3600);
  }
  assertEquals(JSON.parse(await printed("--format", "exec-credential")), {
    apiVersion: "client.authentication.k8s.io/v1",
    kind: "ExecCredential",
    status: { token: access_token, expirationTimestamp: expires_at },
  });
  const end = Math.floor(Date.parse(expires_at!) / 1000);
  assertEquals(
    await printed("--format", "git"),
    `username=oauth2\npassword=${access_token}\npassword_expiry_utc=${end}\n`,
  );
  assertEquals(world.provider.requests, []);
});

cliTest("token: what has ended is refreshed, and --refresh does it before", async (world) => {
  const { access_token } = await world.signIn();
  await world.amend({ expires_at: ENDED });
  const refreshed = await world.run(["token"]);
  assertEquals([refreshed.code, refreshed.stderr], [0, ""]);
  assertEquals(refreshed.stdout, `${world.stored().access_token}\n`);
  assertNotEquals(world.stored().access_token, access_token);

  const forced = await world.run(["token", "--refresh"]);
  assertNotEquals(forced.stdout, refreshed.stdout);
  assertEquals(forced.stdout, `${world.stored().access_token}\n`);
});

cliTest("token: without a sign-in it is exit code 4, and asks nobody", async (world) => {
  for (const flags of [[], ["--json"], ["--format", "exec-credential"], ["--format", "git"]]) {
    const { code, stdout, stderr } = await world.run(["token", ...flags]);
    assertEquals([code, stdout], [4, ""]);
    assertStringIncludes(stderr, "cli login --issuer");
    if (flags[0] === "--json") assertEquals(JSON.parse(stderr).error.code, "login_required");
    else assertStringIncludes(stderr, "error (login_required): Cannot");
  }
  assertEquals(world.provider.requests, []);
});

cliTest("token: a provider that is away is exit code 1, a refused refresh is 4", async (world) => {
  const before = await world.signIn();
  await world.amend({ expires_at: ENDED });
  world.provider.beforeAnswer = () => "drop";
  const { code, stderr } = await world.run(["token"]);
  assertEquals(code, 1);
  assertStringIncludes(stderr, "error (provider_unavailable): Cannot");
  assertEquals(world.stored().refresh_token, before.refresh_token);
  world.provider.beforeAnswer = undefined;
  world.provider.revokeGrants();
  const refused = await world.run(["token"]);
  assertEquals([refused.code, refused.stdout], [4, ""]);
});

cliTest("token: --login asks on standard error, so that the token stands alone", async (world) => {
  const env = { VM_OIDC_INTERACTIVE: "0" };
  const { code, stdout, stderr } = await world.run(["token", "--login"], { env });
  assertEquals(code, 0, stderr);
  assertEquals(stdout, `${world.stored().access_token}\n`);
  assertStringIncludes(stderr, world.provider.issuer);
  const byKey = await world.run(["token"], { env: BY_KEY });
  assertEquals(byKey.code, 1);
  assertStringIncludes(byKey.stderr, "error (no_access_token)");
});

cliTest("token: new tokens that could not be stored are an error", async (world) => {
  await world.signIn();
  world.provider.beforeAnswer = async ({ path }) => {
    if (path !== "/token") return;
    // A store of a newer version is read and never written.
    const document = JSON.parse(await Deno.readTextFile(world.backend.path));
    await Deno.writeTextFile(world.backend.path, JSON.stringify({ ...document, version: 99 }));
  };
  const { code, stdout, stderr } = await world.run(["token", "--refresh"]);
  assertEquals([code, stdout], [1, ""]);
  assertStringIncludes(stderr, "error (credentials_not_stored): Cannot store the new tokens");
});
