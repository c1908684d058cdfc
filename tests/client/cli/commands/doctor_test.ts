import { quoteArgument } from "../../../../backends/common/runtime.ts";
import { assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import { generateDpopKey } from "../../../../client/provider/dpop_key.ts";
import { SECRETS } from "../../../support/entries.ts";
import { startScriptedProvider } from "../../../support/scripted_provider.ts";
import { freePort } from "../../../support/servers/free_port.ts";
import { BY_KEY, cliTest, ENDED, runHere } from "../cli_world.ts";
import {
  all,
  browser,
  clock,
  deadUrl,
  discovery,
  doctorWorld,
  env,
  file,
  job,
  secret,
  type SetUp,
  stored,
} from "../doctor_world.ts";

const ALL_WELL = "settings permissions store provider clock endpoints keys flow sign-in";
const OK = ALL_WELL.split(" ").map((check) => new RegExp(`^ok +${check} +\\S`, "m"));
const NOT_TRIED = ["approval", "refresh"].map((check) => new RegExp(`^not tried +${check} +`, "m"));

cliTest("doctor: all is well, and the stored tokens stay as they are", async (world) => {
  await world.signIn();
  world.provider.autoApprove = false; // nobody sees the doctor's code
  const before = await Deno.readTextFile(world.backend.path);
  const words = /Run: .* doctor --refresh$/m;
  const { stderr } = await world.says("doctor", 0, ...OK, ...NOT_TRIED, words);
  assertEquals(stderr, "");
  assertEquals(await Deno.readTextFile(world.backend.path), before);
  const asked = world.provider.requests.map(({ path, grantType }) => [path, grantType]);
  const poll = "urn:ietf:params:oauth:grant-type:device_code";
  assertEquals(asked.map(([path]) => path), [
    "/.well-known/openid-configuration",
    "/jwks",
    "/device/auth",
    "/token",
  ]);
  assertEquals(asked.at(-1)![1], poll);
  await world.says("doctor --refresh", 0, ...OK, /^ok +refresh +the provider gave a new token/m);
  assertNotEquals(world.stored().access_token, JSON.parse(before)[world.key]?.access_token);
});

/** Runs the doctor in a set-up. Gives the results by their checks, and the requests with a body. */
async function doctorIn(setUp: SetUp, ...flags: string[]) {
  await using stack = new AsyncDisposableStack();
  const world = await doctorWorld(stack);
  world.provider.autoApprove = false; // nobody sees the code
  await setUp(world);
  const { code, stdout } = await runHere(["doctor", "--json", ...flags], world.env);
  const { checks } = JSON.parse(stdout) as { checks: { check: string; result: string }[] };
  return {
    code,
    stdout,
    results: Object.fromEntries(checks.map(({ check, result }) => [check, result])),
    posts: world.provider.requests.filter(({ method }) => method === "POST")
      .map(({ path, grantType = "" }) => `${path} ${grantType}`.trim()),
    calls: world.api.requests.map(({ headers }) => headers.authorization ?? null),
  };
}

Deno.test("doctor: the browser flow goes on to its link, and nobody's browser is opened", async () => {
  const { code, results, posts } = await doctorIn(browser);
  assertEquals([code, results.flow, results.approval, posts], [0, "ok", "not_tried", []]);
});

Deno.test("doctor: a job's token is dropped, and nobody has to approve", async () => {
  const { code, results, posts, stdout } = await doctorIn(all(job, secret));
  assertEquals([code, results.flow, results.approval], [0, "ok", undefined]);
  assertEquals(posts, ["/token client_credentials"]);
  assertStringIncludes(stdout, "no valid token is stored");
});

Deno.test("doctor: an assertion is read, and not sent", async () => {
  const assertion = file("VM_OIDC_CLIENT_ASSERTION_FILE", "aaa.bbb.ccc");
  for (const flow of [job, browser, env({})]) {
    const { code, results, posts } = await doctorIn(all(flow, assertion));
    const isSent = flow !== browser; // where the first request that has it comes after the person
    assertEquals([code, results.proof, posts], [0, "ok", []]);
    assertEquals(results.flow, isSent ? "not_tried" : "ok");
  }
});

Deno.test("doctor: the API gets the stored token once, and no refresh follows its refusal", async () => {
  const withApi: SetUp = ({ api, env }) => void (env.VM_API_HOST = api.apiHost);
  const refused = await doctorIn(all(withApi, stored()));
  assertEquals([refused.code, refused.results.api], [1, "fail"]);
  assertEquals(refused.calls, [`Bearer ${SECRETS.access}`]);
  assertEquals(refused.posts.filter((post) => post.includes("refresh_token")), []);
  for (const [status, words] of [[200, "takes it"], [404, "answers 404 to ping"]] as const) {
    const answers: SetUp = ({ api }) => void api.script.push(() => new Response("{}", { status }));
    const { code, stdout } = await doctorIn(all(withApi, stored(), answers));
    assertEquals([code, stdout.includes(words)], [0, true], stdout);
  }
  const without = await doctorIn(withApi, "--audience", "other-api");
  assertStringIncludes(without.stdout, " for other-api");
  assertEquals([without.code, without.results.api, without.calls], [0, "ok", [null]]);
  assertStringIncludes(without.stdout, "no token was sent");
});

Deno.test("doctor: a job's stored token goes to the API, unless the job would ask for another one", async () => {
  const withApi: SetUp = ({ api, env }) => void (env.VM_API_HOST = api.apiHost);
  const assertion = file("VM_OIDC_CLIENT_ASSERTION_FILE", "aaa.bbb.ccc");
  const own = stored({ refresh_token: null }, { flow: "client_credentials" });
  for (const [proof, sent] of [[secret, `Bearer ${SECRETS.access}`], [assertion, null]] as const) {
    const takes: SetUp = ({ api }) => void api.script.push(() => new Response("{}"));
    const { calls, stdout } = await doctorIn(all(withApi, takes, job, proof, own));
    assertEquals(calls, [sent]);
    assertStringIncludes(stdout, "token valid until");
  }
});

Deno.test("doctor: the check of the clock has the provider's time", async () => {
  const { results } = await doctorIn(clock(60));
  assertEquals(results.clock, "fail");
});

Deno.test("doctor: a job may keep its tokens in memory", async () => {
  const inMemory: SetUp = ({ env }) => void (env.VM_OIDC_NO_PERSIST = "1");
  const { results } = await doctorIn(all(job, secret, inMemory));
  assertEquals(results.store, "ok");
});

Deno.test("doctor: the API gets the token where the settings permit one store alone", async () => {
  const withApi: SetUp = ({ api, env }) => void (env.VM_API_HOST = api.apiHost);
  const only: SetUp = async ({ home }) => {
    const folder = `${home}/.config/validmind-auth`;
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    const settings = '{"only": {"backends": ["file"]}}';
    await Deno.writeTextFile(`${folder}/settings.json`, settings, { mode: 0o600 });
  };
  const { calls } = await doctorIn(all(withApi, stored(), only));
  assertEquals(calls, [`Bearer ${SECRETS.access}`]);
});

Deno.test("doctor: a bound token goes to the API with its proof", async () => {
  const { jwk } = await generateDpopKey();
  const withApi: SetUp = ({ api, env }) => void (env.VM_API_HOST = api.apiHost);
  const offered = discovery({ dpop_signing_alg_values_supported: ["ES256"] });
  const setUp = all(withApi, offered, stored({ dpop_key: jwk }, { dpop: true }));
  const { results, calls } = await doctorIn(setUp, "--dpop");
  assertEquals([results.flow, results["sign-in"], results.api], ["ok", "ok", "fail"]);
  assertEquals(calls, [`DPoP ${SECRETS.access}`]);
});

Deno.test("doctor: what needs a check that failed is left out", async () => {
  const dead: SetUp = ({ env }) => void (env.VM_OIDC_ISSUER = deadUrl());
  for (const setUp of [dead, discovery({ issuer: "https://b.example" })]) {
    const { results } = await doctorIn(setUp);
    assertEquals(Object.keys(results), ["settings", "permissions", "store", "provider", "sign-in"]);
  }
});

/** What is stored of a sign-in that ends soon, or has ended, and what to do. */
const WARNINGS: [change: Record<string, unknown>, words: string][] = [
  [{ expires_at: ENDED, refresh_token: null }, "Run: validmind-auth login"],
  [{ refresh_token: null }, "The provider gave no refresh token"],
];

cliTest("doctor: a warning says what to do, and is no failure", async (world) => {
  const { json } = await world.says("doctor --json", 0);
  assertEquals([json.ok, json.checks.at(-1).result], [true, "warning"]);
  const words = /^warning +sign-in +nobody is signed in\n +→ Run: validmind-auth login$/m;
  await world.says("doctor", 0, words);
  for (const [change, words] of WARNINGS) {
    await world.signIn();
    await world.amend(change);
    await world.says("doctor", 0, /^warning +sign-in/m, words);
    await world.backend.delete(world.key);
  }
});

cliTest("doctor: without a provider, the store is examined all the same", async (world) => {
  const line = `doctor --client-id a --issuer http://127.0.0.1:${freePort()}`;
  const provider = /^fail +provider .*: nothing answers at that host and port/m;
  await world.says(line, 1, /^ok +store/m, provider);
  const { json } = await world.says(`${line} --json`, 1);
  assertEquals(json.ok, false);
});

cliTest("doctor: missing permissions are a fail that leads to all flags", async (world) => {
  const { stderr } = await world.says(
    "doctor",
    1,
    /^fail +settings +Cannot examine the sign-in: Deno does not permit/m,
    /^ +→ Install it with these flags, in place of earlier ones:\n +deno install .* --allow-env jsr:/m,
    { flags: [] },
  );
  assertEquals(stderr, "");
  const some = { flags: ["--allow-env", "--allow-net"] };
  const words = [/^fail +permissions/m, quoteArgument(`--allow-write=${world.folder}`), "!fail  s"];
  await world.says("doctor", 1, ...words, some);
});

cliTest("doctor: what fails is named, and nothing is changed", async (world) => {
  await world.says("VM_OIDC_ISSUER= doctor", 1, /^fail +settings .*--issuer/m, "!permissions  ");
  const discovery = { issuer: "https://b.example" };
  await using provider = await startScriptedProvider({ discovery });
  const line = `doctor --issuer ${provider.issuer} --client-id ${provider.clientId}`;
  await world.says(line, 1, /^fail +provider/m);
  const path = await world.write("{damaged", ".validmind/credentials.json");
  await world.says("doctor", 1, /^fail +store/m, path, "!fail  sign-in"); // told once
  // Never "not signed in".
  assertEquals((await world.says("status", 1, "error (backend_corrupt): Cannot")).stdout, "");
  assertEquals(await Deno.readTextFile(path), "{damaged");
});

cliTest("an API key: nobody has to sign in, and only permissions are examined", async (world) => {
  Object.assign(world.env, BY_KEY);
  await world.says("doctor", 0, /^ok +settings/m, /^ok +permissions/m, "!store", "!provider");
  assertEquals((await world.says("status --json", 0)).json, { signed_in: true, state: "api_key" });
  for (const line of ["login", "status"]) await world.says(line, 0, "An API key is set");
});
