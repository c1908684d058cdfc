import { assert, assertEquals } from "@std/assert";
import { BY_KEY, cliTest, type CliWorld, ENDED, NO_CLIENT, type Word } from "../cli_world.ts";

/** What every report says of the provider and the store. */
function known({ provider, backend: { path: location } }: CliWorld) {
  const backend = { name: "FileCredentialsBackend", location, persistent: true };
  const { issuer, clientId: client_id } = provider;
  return { issuer, client_id, backend: { ...backend, declares_permissions: true } };
}

cliTest("status: nobody is signed in", async (world) => {
  assertEquals((await world.says("status", 4, /^Not signed in\nProvider +http:/)).stderr, "");
  const { json } = await world.says("status --json", 4);
  assertEquals(json, { signed_in: false, state: "none", refreshable: false, ...known(world) });
  assertEquals([...Deno.readDirSync(world.home)], [], "status wrote something");
});

cliTest("status: who, until when and where, without network", async (world) => {
  const { expires_at } = await world.signIn();
  const words: Word[] = [
    /^Signed in +as analyst@example\.com \(Ada Analyst\)$/m,
    /^Token +valid until \d{4}-\d\d-\d\d \d\d:\d\d \S+ \(in (60|59) min\), then refreshed without you$/m,
    /^Kept in +FileCredentialsBackend \(.*credentials\.json\)$/m,
  ];
  assertEquals((await world.says("status", 0, ...words)).stderr, "");
  const { expires_in, ...report } = (await world.says("status --json", 0)).json;
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

type State = [state: string, change: Record<string, unknown>, flags: string, code: number, Word];

const STATES: State[] = [
  ["refreshable", { expires_at: ENDED }, "", 0, "refreshed without you at the next use"],
  ["expired", { expires_at: ENDED, refresh_token: null }, "", 4, "ago): run login"],
  ["other_scope", {}, "--scope 'openid admin'", 4, "not for all of the scope"],
];

cliTest("status: a sign-in that does not serve as it is", async (world) => {
  for (const [state, change, flags, code, words] of STATES) {
    await world.signIn();
    await world.amend(change);
    const signedIn = code === 0 ? /^Signed in / : /^Last signed in /;
    await world.says(`status ${flags}`, code, words, signedIn);
    assertEquals((await world.says(`status --json ${flags}`, code)).json.state, state);
    assertEquals((await world.says(`status --quiet ${flags}`, code)).stdout, "");
    assertEquals(world.provider.requests, []);
    await world.backend.delete(world.key);
  }
});

cliTest("status: flags take the place of variables", async (world) => {
  await world.signIn();
  const { issuer, clientId } = world.provider;
  const env = { ...NO_CLIENT, VM_OIDC_NO_PERSIST: "1" };
  const line = `status -q --issuer ${issuer} --client-id ${clientId}`;
  await world.says(line, 4, { env }); // memory has nothing
  await world.says(`${line} --backend file`, 0, { env });
  await world.says(`${line} --backend file --audience other`, 4, { env });
});

cliTest("status: with an API key nobody has to sign in", async (world) => {
  const { json } = await world.says("status --json", 0, { env: BY_KEY });
  assertEquals(json, { signed_in: true, state: "api_key" });
  await world.says("status", 0, "An API key is set", { env: BY_KEY });
});

cliTest("status: a store that cannot be read is never 'not signed in'", async (world) => {
  await world.write("{damaged", ".validmind/credentials.json");
  assertEquals((await world.says("status", 1, "error (backend_corrupt): Cannot")).stdout, "");
});

cliTest("status: a profile and bound tokens are sign-ins of their own", async (world) => {
  await world.signIn();
  for (
    const [flags, ...own] of [["--profile work", "work", undefined], ["--dpop", undefined, true]]
  ) {
    const { state, profile, dpop } = (await world.says(`status --json ${flags}`, 4)).json;
    assertEquals([state, profile, dpop], ["none", ...own]);
  }
  await world.says("VM_OIDC_PROFILE=work status", 4, /^Profile +work$/m);
});

cliTest("status: the scope that was granted, and the end of the sign-in itself", async (world) => {
  const { scope: _, ...row } = await world.signIn();
  const refresh_expires_at = new Date(Date.now() + 7_201_000).toISOString();
  await world.amend({ granted_scope: "openid", refresh_token: null, refresh_expires_at });
  const scope = /^Scope +openid profile email offline_access$/m;
  await world.says("status", 0, scope, /^Granted +openid$/m);
  assertEquals((await world.says("status --json", 0)).json.granted_scope, "openid");
  const unnamed = { ...row, id_token: null, refresh_expires_at };
  await world.backend.put(world.key, unnamed as unknown as typeof row);
  await world.says(
    "status",
    0,
    /^Signed in +as a person whom the provider did not name$/m,
    /^Scope +not known: another program stored/m,
    /^Sign-in +ends .+ \(in 2 h\)$/m,
  );
});
