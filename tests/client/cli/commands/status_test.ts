import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { BY_KEY, cliTest, type CliWorld, ENDED, NO_CLIENT } from "../cli_world.ts";

/** What every report says of the provider and the store. */
function known({ provider, backend }: CliWorld) {
  const store = {
    name: "FileCredentialsBackend",
    location: backend.path,
    persistent: true,
    declares_permissions: true,
  };
  return { issuer: provider.issuer, client_id: provider.clientId, backend: store };
}

cliTest("status: nobody is signed in", async (world) => {
  const text = await world.run(["status"]);
  assertEquals([text.code, text.stderr], [4, ""]);
  assertMatch(text.stdout, /^Not signed in\nProvider +http:/);
  const json = await world.run(["status", "--json"]);
  const report = { signed_in: false, state: "none", refreshable: false, ...known(world) };
  assertEquals([json.code, JSON.parse(json.stdout)], [4, report]);
  assertEquals([...Deno.readDirSync(world.home)], [], "status wrote something");
});

const TOKEN =
  /^Token +valid until \d{4}-\d\d-\d\d \d\d:\d\d \S+ \(in (60|59) min\), then refreshed without you$/m;

cliTest("status: who, until when and where, without network", async (world) => {
  const { expires_at } = await world.signIn();
  const text = await world.run(["status"]);
  assertEquals([text.code, text.stderr], [0, ""]);
  assertMatch(text.stdout, /^Signed in +as analyst@example\.com \(Ada Analyst\)$/m);
  assertMatch(text.stdout, TOKEN);
  assertMatch(text.stdout, /^Kept in +FileCredentialsBackend \(.*credentials\.json\)$/m);
  const { expires_in, ...report } = JSON.parse((await world.run(["status", "--json"])).stdout);
  assert(expires_in > 3500 && expires_in <= 3600);
  assertEquals(report, {
    signed_in: true,
    state: "valid",
    ...known(world),
    scope: "openid profile email offline_access",
    subject: "analyst@example.com",
    name: "Ada Analyst",
    email: "analyst@example.com",
    expires_at,
    refreshable: true,
  });
  assertEquals(world.provider.requests, []);
});

type State = [
  state: string,
  change: Record<string, unknown>,
  args: string[],
  code: number,
  words: string,
];

const STATES: State[] = [
  ["refreshable", { expires_at: ENDED }, [], 0, "refreshed without you at the next use"],
  ["expired", { expires_at: ENDED, refresh_token: null }, [], 4, "ago): run login"],
  ["other_scope", {}, ["--scope", "openid admin"], 4, "not for all of the scope"],
];

cliTest("status: a sign-in that does not serve as it is", async (world) => {
  for (const [state, change, args, code, words] of STATES) {
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
    await world.backend.delete(world.key);
  }
});

cliTest("status: flags take the place of variables", async (world) => {
  await world.signIn();
  const { issuer, clientId } = world.provider;
  const env = { ...NO_CLIENT, VM_OIDC_NO_PERSIST: "1" };
  const codeOf = async (...flags: string[]) => {
    const args = ["status", "--issuer", issuer, "--client-id", clientId, "--quiet", ...flags];
    return (await world.run(args, { env })).code;
  };
  const file = ["--backend", "file"];
  assertEquals([await codeOf(), await codeOf(...file)], [4, 0], "memory has nothing");
  assertEquals(await codeOf(...file, "--audience", "other"), 4);
});

cliTest("status: with an API key nobody has to sign in", async (world) => {
  const { code, stdout } = await world.run(["status", "--json"], { env: BY_KEY });
  assertEquals([code, JSON.parse(stdout)], [0, { signed_in: true, state: "api_key" }]);
  assertStringIncludes((await world.run(["status"], { env: BY_KEY })).stdout, "An API key is set");
});

cliTest("status: a store that cannot be read is never 'not signed in'", async (world) => {
  await Deno.mkdir(world.folder);
  await Deno.writeTextFile(world.backend.path, "{damaged");
  const { code, stdout, stderr } = await world.run(["status"]);
  assertEquals([code, stdout], [1, ""]);
  assertStringIncludes(stderr, "error (backend_corrupt): Cannot");
});

cliTest("status: a profile and bound tokens are sign-ins of their own", async (world) => {
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

cliTest("status: the scope that was granted, and the end of the sign-in itself", async (world) => {
  const { scope: _, ...row } = await world.signIn();
  const refresh_expires_at = new Date(Date.now() + 7_201_000).toISOString();
  await world.amend({ granted_scope: "openid", refresh_token: null, refresh_expires_at });
  const { stdout } = await world.run(["status"]);
  assertMatch(stdout, /^Scope +openid profile email offline_access$/m);
  assertMatch(stdout, /^Granted +openid$/m);
  const json = JSON.parse((await world.run(["status", "--json"])).stdout);
  assertEquals(json.granted_scope, "openid");
  const unnamed = { ...row, id_token: null, refresh_expires_at };
  await world.backend.put(world.key, unnamed as typeof json);
  const bare = (await world.run(["status"])).stdout;
  assertMatch(bare, /^Signed in +as a person whom the provider did not name$/m);
  assertMatch(bare, /^Scope +not known: another program stored/m);
  assertMatch(bare, /^Sign-in +ends .+ \(in 2 h\)$/m);
});
