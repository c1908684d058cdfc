import { assert, assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import { cliWorld } from "../cli_world.ts";

const ENDED = "2020-01-01T00:00:00.000Z";

Deno.test("token: the bearer and a line end, and nothing else; no network while it is valid", async () => {
  await using world = await cliWorld();
  const { access_token } = await world.signIn();
  assertEquals(await world.run(["token"]), { code: 0, stdout: `${access_token}\n`, stderr: "" });
  const header = await world.run(["token", "--format", "header"]);
  assertEquals(header.stdout, `Authorization: Bearer ${access_token}\n`);
  assertEquals(world.provider.requests, []);
});

Deno.test("token: --json", async () => {
  await using world = await cliWorld();
  const { access_token, expires_at } = await world.signIn();
  const { expires_in, ...answer } = JSON.parse((await world.run(["token", "--json"])).stdout);
  assertEquals(answer, { token: access_token, token_type: "Bearer", expires_at });
  assert(expires_in > 3500 && expires_in <= 3600);
});

Deno.test("token: --format exec-credential is what client-go reads", async () => {
  await using world = await cliWorld();
  const { access_token, expires_at } = await world.signIn();
  const { code, stdout, stderr } = await world.run(["token", "--format", "exec-credential"]);
  assertEquals([code, stderr], [0, ""]);
  assertEquals(JSON.parse(stdout), {
    apiVersion: "client.authentication.k8s.io/v1",
    kind: "ExecCredential",
    status: { token: access_token, expirationTimestamp: expires_at },
  });
});

Deno.test("token: --format git is what git reads from a credential helper", async () => {
  await using world = await cliWorld();
  const { access_token, expires_at } = await world.signIn();
  const end = Math.floor(Date.parse(expires_at!) / 1000);
  const stdout = `username=oauth2\npassword=${access_token}\npassword_expiry_utc=${end}\n`;
  const result = await world.run(["token", "--format", "git"]);
  assertEquals(result, { code: 0, stdout, stderr: "" });
});

Deno.test("token: an unknown format is a usage error", async () => {
  await using world = await cliWorld();
  await world.signIn();
  const unknown = await world.run(["token", "--format", "yaml"]);
  assertEquals([unknown.code, unknown.stdout], [2, ""]);
  assertStringIncludes(unknown.stderr, "It takes: exec-credential, git, header, json.");
});

Deno.test("token: what has ended is refreshed, and --refresh does it before", async () => {
  await using world = await cliWorld();
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

Deno.test("token: asks nobody: without a sign-in it is exit code 4, and says what to run", async () => {
  await using world = await cliWorld();
  const text = await world.run(["token"]);
  assertEquals([text.code, text.stdout], [4, ""]);
  assertStringIncludes(text.stderr, "error (login_required): Cannot");
  assertStringIncludes(text.stderr, "cli login --issuer");

  const json = await world.run(["token", "--json"]);
  assertEquals([json.code, json.stdout], [4, ""]);
  assertEquals(json.stderr.trim().split("\n").length, 1);
  assertEquals(JSON.parse(json.stderr).error.code, "login_required");

  for (const format of ["exec-credential", "git", "header", "json"]) {
    const { code, stdout } = await world.run(["token", "--format", format]);
    assertEquals([code, stdout], [4, ""]);
  }
  assertEquals(world.provider.requests, []);
});

Deno.test("token: a refused refresh is exit code 4", async () => {
  await using world = await cliWorld();
  await world.signIn();
  await world.amend({ expires_at: ENDED });
  world.provider.revokeGrants();
  const { code, stdout } = await world.run(["token"]);
  assertEquals([code, stdout], [4, ""]);
});

Deno.test("token: a provider that is away is exit code 1, and the tokens stay", async () => {
  await using world = await cliWorld();
  const before = await world.signIn();
  await world.amend({ expires_at: ENDED });
  world.provider.beforeAnswer = () => "drop";
  const { code, stderr } = await world.run(["token"]);
  assertEquals(code, 1);
  assertStringIncludes(stderr, "error (provider_unavailable): Cannot");
  assertEquals(world.stored().refresh_token, before.refresh_token);
});

Deno.test("token: --login asks on standard error, so that the token stands alone", async () => {
  await using world = await cliWorld();
  const env = { VM_OIDC_INTERACTIVE: "0" };
  const { code, stdout, stderr } = await world.run(["token", "--login"], { env });
  assertEquals(code, 0, stderr);
  assertEquals(stdout, `${world.stored().access_token}\n`);
  assertStringIncludes(stderr, world.provider.issuer);
});

Deno.test("token: with an API key there is none", async () => {
  await using world = await cliWorld();
  const env = { VM_OIDC_ISSUER: "", VM_OIDC_CLIENT_ID: "", VM_API_KEY: "k", VM_API_SECRET: "s" };
  const { code, stderr } = await world.run(["token"], { env });
  assertEquals(code, 1);
  assertStringIncludes(stderr, "error (no_access_token)");
});

/** Makes the store one of a newer version, which is read and never written. */
async function closeStore(home: string): Promise<void> {
  const path = `${home}/.validmind/credentials.json`;
  const document = JSON.parse(await Deno.readTextFile(path));
  await Deno.writeTextFile(path, JSON.stringify({ ...document, version: 99 }));
}

Deno.test("token: new tokens that could not be stored are printed, with a warning", async () => {
  for (const flags of [[], ["--refresh"]]) {
    await using world = await cliWorld();
    await world.signIn();
    if (flags.length === 0) await world.amend({ expires_at: ENDED });
    world.provider.beforeAnswer = async ({ path }) => {
      if (path === "/token") await closeStore(world.home);
    };
    const { code, stdout, stderr } = await world.run(["token", ...flags]);
    assertEquals([code, await world.provider.isActive(stdout.trim())], [0, true], stderr);
    assertNotEquals(stdout, `${world.stored().access_token}\n`);
    assertStringIncludes(stderr, "warning (credentials_not_stored): Cannot store the new tokens");
  }
});
