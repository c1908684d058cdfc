import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { cliWorld } from "../cli_world.ts";

Deno.test("status: nobody is signed in", async () => {
  await using world = await cliWorld();
  const text = await world.run(["status"]);
  assertEquals([text.code, text.stderr], [4, ""]);
  assertMatch(text.stdout, /^Not signed in\nProvider +http:/);

  const json = await world.run(["status", "--json"]);
  assertEquals(json.code, 4);
  assertEquals(JSON.parse(json.stdout), {
    signed_in: false,
    state: "none",
    issuer: world.provider.issuer,
    client_id: world.provider.clientId,
    backend: {
      name: "FileCredentialsBackend",
      location: world.backend.path,
      persistent: true,
    },
  });
  assertEquals([...Deno.readDirSync(world.home)], [], "status wrote something");
});

Deno.test("status: who, until when and where, without network", async () => {
  await using world = await cliWorld();
  const { expires_at } = await world.signIn();
  const text = await world.run(["status"]);
  assertEquals([text.code, text.stderr], [0, ""]);
  assertMatch(text.stdout, /^Signed in +as analyst@example\.com \(Ada Analyst\)$/m);
  assertMatch(
    text.stdout,
    /^Token +valid until \d{4}-\d\d-\d\d \d\d:\d\d \S+ \(in (60|59) min\), then refreshed without you$/m,
  );
  assertMatch(text.stdout, /^Kept in +.*credentials\.json \(FileCredentialsBackend\)$/m);

  const { expires_in, ...report } = JSON.parse((await world.run(["status", "--json"])).stdout);
  assert(expires_in > 3500 && expires_in <= 3600);
  assertEquals(report, {
    signed_in: true,
    state: "valid",
    issuer: world.provider.issuer,
    client_id: world.provider.clientId,
    scope: "openid profile email offline_access",
    subject: "analyst@example.com",
    name: "Ada Analyst",
    email: "analyst@example.com",
    expires_at,
    refreshable: true,
    backend: {
      name: "FileCredentialsBackend",
      location: world.backend.path,
      persistent: true,
    },
  });
  assertEquals(world.provider.requests, []);
});

const ENDED = "2020-01-01T00:00:00.000Z";

for (
  const [state, change, args, code, words] of [
    ["refreshable", { expires_at: ENDED }, [], 0, "refreshed without you at the next use"],
    ["expired", { expires_at: ENDED, refresh_token: null }, [], 4, "ago): run login"],
    ["other_scope", {}, ["--scope", "openid admin"], 4, "not for all of the scope"],
  ] as const
) {
  Deno.test(`status: ${state}`, async () => {
    await using world = await cliWorld();
    await world.signIn();
    await world.amend(change);
    const { stdout } = await world.run(["status", ...args]);
    assertStringIncludes(stdout, words);
    assertMatch(stdout, code === 0 ? /^Signed in / : /^Last signed in /);
    const json = await world.run(["status", "--json", ...args]);
    assertEquals([json.code, JSON.parse(json.stdout).state], [code, state]);
    const quiet = await world.run(["status", "--quiet", ...args]);
    assertEquals(quiet, { code, stdout: "", stderr: "" });
    assertEquals(world.provider.requests, []);
  });
}

Deno.test("status: flags take the place of variables", async () => {
  await using world = await cliWorld();
  await world.signIn();
  const { issuer, clientId } = world.provider;
  const env = { VM_OIDC_ISSUER: "", VM_OIDC_CLIENT_ID: "", VM_OIDC_NO_PERSIST: "1" };
  const args = ["status", "--issuer", issuer, "--client-id", clientId, "--quiet"];
  assertEquals((await world.run(args, { env })).code, 4, "memory has nothing");
  assertEquals((await world.run([...args, "--backend", "file"], { env })).code, 0);
  const other = await world.run([...args, "--backend", "file", "--audience", "other"], { env });
  assertEquals(other.code, 4);
});

Deno.test("status: with an API key nobody has to sign in", async () => {
  await using world = await cliWorld();
  const env = { VM_OIDC_ISSUER: "", VM_OIDC_CLIENT_ID: "", VM_API_KEY: "k", VM_API_SECRET: "s" };
  const { code, stdout } = await world.run(["status", "--json"], { env });
  assertEquals([code, JSON.parse(stdout)], [0, { signed_in: true, state: "api_key" }]);
  assertStringIncludes((await world.run(["status"], { env })).stdout, "An API key is set");
});

Deno.test("status: a store that cannot be read is an error, and never 'not signed in'", async () => {
  await using world = await cliWorld();
  await Deno.mkdir(world.folder);
  await Deno.writeTextFile(world.backend.path, "{damaged");
  const { code, stdout, stderr } = await world.run(["status"]);
  assertEquals([code, stdout], [1, ""]);
  assertStringIncludes(stderr, "error (backend_corrupt): Cannot");
});

Deno.test("status: settings that are missing or wrong are exit code 2", async () => {
  await using world = await cliWorld();
  const none = { VM_OIDC_ISSUER: "", VM_OIDC_CLIENT_ID: "" };
  const missing = await world.run(["status"], { env: none });
  assertEquals([missing.code, missing.stdout], [2, ""]);
  assertStringIncludes(missing.stderr, "error (missing_api_credentials): Cannot show the status");
  const insecure = await world.run(["status", "--issuer", "http://a.example"]);
  assertEquals(insecure.code, 2);
  assertStringIncludes(insecure.stderr, "insecure_url");
});

Deno.test("status: a profile, and tokens that are bound to a key, are sign-ins of their own", async () => {
  await using world = await cliWorld();
  await world.signIn();
  for (const flags of [["--profile", "work"], ["--dpop"]]) {
    const { code, stdout } = await world.run(["status", "--json", ...flags]);
    const { state, profile, dpop } = JSON.parse(stdout);
    assertEquals([code, state], [4, "none"], flags.join(" "));
    assertEquals([profile, dpop], flags.length === 2 ? ["work", undefined] : [undefined, true]);
  }
  const named = await world.run(["status"], { env: { VM_OIDC_PROFILE: "work" } });
  assertEquals(named.code, 4);
  assertMatch(named.stdout, /^Profile +work$/m);
});

Deno.test("status: the granted scope beside the asked one", async () => {
  await using world = await cliWorld();
  await world.signIn();
  await world.amend({ granted_scope: "openid", refresh_token: null });
  const { stdout } = await world.run(["status"]);
  assertMatch(stdout, /^Scope +openid profile email offline_access$/m);
  assertMatch(stdout, /^Granted +openid$/m);
  const json = JSON.parse((await world.run(["status", "--json"])).stdout);
  assertEquals(json.granted_scope, "openid");
});

Deno.test("status: a scope that another program dropped from the entry is not known", async () => {
  await using world = await cliWorld();
  const { scope: _, ...row } = await world.signIn();
  await world.backend.put(world.key, row as typeof row & { access_token: string });
  assertMatch((await world.run(["status"])).stdout, /^Scope +not known: another program stored/m);
});

Deno.test("status: the end of the sign-in itself, where the provider has stated it", async () => {
  await using world = await cliWorld();
  await world.signIn();
  await world.amend({ refresh_expires_at: new Date(Date.now() + 7_201_000).toISOString() });
  assertMatch((await world.run(["status"])).stdout, /^Sign-in +ends .+ \(in 2 h\)$/m);
});
