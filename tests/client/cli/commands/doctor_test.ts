import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertStringIncludes,
} from "@std/assert";
import { CLIENT_SECRET, withClient } from "../../../support/client_world.ts";
import { sha256Hex } from "../../../support/sha256_hex.ts";
import { startHttpServer } from "../../../support/http_server.ts";
import { freePort } from "../../../support/servers/free_port.ts";
import { isPosix } from "../../../support/sandbox.ts";
import { type CliWorld, cliWorld } from "../cli_world.ts";

interface Report {
  ok: boolean;
  checks: { check: string; result: string; message: string; advice?: string }[];
}

async function examine(world: CliWorld, args: string[] = [], env: Record<string, string> = {}) {
  const { code, stdout, stderr } = await world.run(["doctor", "--json", ...args], { env });
  assertEquals(stderr, "");
  const report = JSON.parse(stdout) as Report;
  assertEquals(report.ok, code === 0);
  const found = (check: string) => report.checks.find((one) => one.check === check);
  return {
    code,
    report,
    found,
    results: report.checks.map((one) => `${one.check}: ${one.result}`),
  };
}

const FILE_MODES = `file modes: ${isPosix ? "ok" : "skipped"}`;

const ALL_WELL = [
  "settings file: skipped",
  "settings: ok",
  "set by: ok",
  "backend: ok",
  "permissions: ok",
  FILE_MODES,
  "store: ok",
  "discovery: ok",
  "device flow: ok",
  "browser flow: ok",
  "clock: ok",
  "sign-in: ok",
];

Deno.test("doctor: all is well, the stored entry stays, and no token goes anywhere", async () => {
  await using world = await cliWorld();
  await world.signIn();
  const before = await sha256Hex(await Deno.readTextFile(world.backend.path));
  const { code, results } = await examine(world);
  assertEquals([code, results], [0, ALL_WELL]);
  assertEquals(await sha256Hex(await Deno.readTextFile(world.backend.path)), before);
  const paths = world.provider.requests.map(({ path }) => path);
  assertEquals(paths, ["/.well-known/openid-configuration"]);

  const { stdout } = await world.run(["doctor"]);
  for (const line of ALL_WELL) {
    const [check, result] = line.split(": ");
    assertMatch(stdout, new RegExp(`^${result} +${check} +\\S`, "m"));
  }
  assertEquals(await world.run(["doctor", "--quiet"]), { code: 0, stdout: "", stderr: "" });
});

Deno.test("doctor: a warning says what to do, and is no failure", async () => {
  await using world = await cliWorld();
  const { code, found } = await examine(world);
  assertEquals([code, found("sign-in")?.result], [0, "warning"]);
  const { stdout } = await world.run(["doctor"]);
  assertMatch(stdout, /^warning +sign-in +nobody is signed in\n +→ Run: validmind-auth login$/m);
});

Deno.test("doctor: without a provider, the store is examined all the same", async () => {
  await using world = await cliWorld();
  const { code, results, found } = await examine(world, ["--issuer", "http://127.0.0.1:1"]);
  assertEquals(code, 1);
  assert(results.includes("store: ok"));
  assertEquals(found("discovery")?.result, "fail");
  assertEquals((await world.run(["doctor", "--quiet", "--issuer", "http://127.0.0.1:1"])).code, 1);
});

Deno.test("doctor: what cannot be reached is told with its reason", async () => {
  await using world = await cliWorld();
  const closed = `http://127.0.0.1:${freePort()}`;
  const { found } = await examine(world, ["--issuer", closed, "--api-host", `${closed}/v1/`]);
  for (const check of ["discovery", "API"]) {
    assertEquals(found(check)?.result, "fail");
    assertMatch(found(check)!.message, /\ncaused by (?:Type)?Error: .*client error \(Connect\)/);
    assertMatch(found(check)!.message, /: nothing answers at that host and port/);
    // The error around it says no more. Older Denos give that one alone.
    assertEquals(found(check)!.message.match(/caused by/g)?.length, 1);
  }
});

Deno.test("doctor: a missing permission leads to the command that names all", async () => {
  await using world = await cliWorld();
  const { code, stdout } = await world.run(["doctor"], { flags: [] });
  assertEquals(code, 1);
  assertMatch(stdout, /^ +→ All flags at once, .* permissions --for doctor$/m);
});

Deno.test("doctor: without settings, the store is examined all the same", async () => {
  await using world = await cliWorld();
  const { code, results } = await examine(world, [], { VM_OIDC_ISSUER: "", VM_OIDC_CLIENT_ID: "" });
  assertEquals(code, 1);
  assertEquals(results, ["settings file: skipped", "settings: fail", ...ALL_WELL.slice(3, 7)]);
});

Deno.test({
  name: "doctor: open file modes are a fail, and are not changed by the probe",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using world = await cliWorld();
    await world.signIn();
    await Deno.chmod(world.backend.path, 0o644);
    const { code, found } = await examine(world);
    assertEquals([code, found("file modes")?.result, found("store")?.result], [
      1,
      "fail",
      "skipped",
    ]);
    assertEquals(found("file modes")?.advice, `Close it: chmod 600 ${world.backend.path}`);
    assertEquals(Deno.statSync(world.backend.path).mode! & 0o777, 0o644);
  },
});

Deno.test("doctor: a damaged store is a fail", async () => {
  await using world = await cliWorld();
  await world.signIn();
  await Deno.writeTextFile(world.backend.path, "{damaged");
  const { code, found } = await examine(world);
  assertEquals([code, found("store")?.result, found("sign-in")?.result], [1, "fail", "fail"]);
  assertStringIncludes(found("store")!.message, world.backend.path);
  assertEquals(await Deno.readTextFile(world.backend.path), "{damaged");
});

for (
  const [name, change, words] of [
    [
      "expired",
      { expires_at: "2020-01-01T00:00:00Z", refresh_token: null },
      "Run: validmind-auth login",
    ],
    ["without a refresh token", { refresh_token: null }, "offline_access"],
  ] as const
) {
  Deno.test(`doctor: a sign-in that is ${name} is a warning`, async () => {
    await using world = await cliWorld();
    await world.signIn();
    await world.amend(change);
    const { code, found } = await examine(world);
    assertEquals([code, found("sign-in")?.result], [0, "warning"]);
    assertStringIncludes(found("sign-in")!.advice!, words);
  });
}

/** Statuses of an API, by path: of the ping under `/v1/`, and of `/v1/` itself. */
const APIS: [name: string, ping: number, base: number, result: string, words: string][] = [
  ["that refuses who has no token", 401, 404, "ok", "answers"],
  ["that is open", 200, 200, "ok", "answers"],
  ["that redirects to a sign-in", 302, 302, "ok", "answers"],
  ["that is down", 503, 503, "warning", "status 503"],
  ["that has nothing at its path", 404, 404, "fail", "has nothing at"],
  ["of another kind, or at another path", 404, 200, "warning", "/v1/ping is not there"],
];

for (const [name, ping, base, result, words] of APIS) {
  Deno.test(`doctor: an API ${name} is ${result}, and is asked without a token`, async () => {
    await using world = await cliWorld();
    const seen = new Set<string | null>();
    await using api = await startHttpServer((request) => {
      seen.add(request.headers.get("authorization"));
      const status = new URL(request.url).pathname === "/v1/ping" ? ping : base;
      return new Response(null, { status, headers: { location: "/elsewhere" } });
    });
    await world.signIn();
    const byFlag = await examine(world, ["--api-host", `${api.origin}/v1/`]);
    const byVariable = await examine(world, [], { VM_API_HOST: `${api.origin}/v1/` });
    for (const { code, found } of [byFlag, byVariable]) {
      assertEquals([code, found("API")?.result], [result === "fail" ? 1 : 0, result]);
      assertStringIncludes(found("API")!.message, words);
    }
    assertEquals([...seen], [null]);
  });
}

Deno.test("doctor: an API that cannot be reached is a fail", async () => {
  await using world = await cliWorld();
  const { code, found } = await examine(world, ["--api-host", "http://127.0.0.1:1/"]);
  assertEquals([code, found("API")?.result], [1, "fail"]);
});

Deno.test("doctor: with an API key there is no more to examine than the API", async () => {
  await using world = await cliWorld();
  const env = { VM_OIDC_ISSUER: "", VM_OIDC_CLIENT_ID: "", VM_API_KEY: "k", VM_API_SECRET: "s" };
  await using api = await startHttpServer(() => new Response(null, { status: 401 }));
  const { results } = await examine(world, ["--api-host", api.origin], env);
  assertEquals(results, [...ALL_WELL.slice(0, 3), "API: ok"]);
});

Deno.test("doctor: missing permissions are a fail that names the flags", async () => {
  await using world = await cliWorld();
  const none = await world.run(["doctor"], { flags: [] });
  assertEquals([none.code, none.stderr], [1, ""]);
  assertMatch(none.stdout, /^fail +permissions +Cannot examine the sign-in/m);
  assertStringIncludes(none.stdout, "--allow-env=VM_OIDC_ISSUER,VM_OIDC_CLIENT_ID,");

  const some = await world.run(["doctor", "--json"], { flags: ["--allow-env", "--allow-net"] });
  const { checks } = JSON.parse(some.stdout) as Report;
  const fails = checks.filter(({ result }) => result === "fail");
  assertEquals(fails.map(({ check }) => check), ["permissions"]);
  assertStringIncludes(fails[0]!.message, `--allow-write=${world.folder}`);
});

Deno.test("doctor --probe: names an unknown client by its flag", async () => {
  await using world = await cliWorld();
  const good = await examine(world, ["--probe"]);
  assertEquals([good.code, good.found("client")?.result], [0, "ok"]);
  const bad = await examine(world, ["--probe", "--client-id", "nobody"]);
  assertEquals([bad.code, bad.found("client")?.result], [1, "fail"]);
  assertMatch(
    bad.found("client")!.message,
    /invalid_client .* Check --client-id \(VM_OIDC_CLIENT_ID\)/,
  );
});

Deno.test("doctor --probe: names the variable of a secret, which has no flag", async () => {
  await using world = await cliWorld(withClient());
  const missing = (await examine(world, ["--probe"])).found("client")!;
  assertEquals(missing.result, "fail");
  assertStringIncludes(missing.message, "VM_OIDC_CLIENT_SECRET");
  assert(!/clientSecret|clientKeyFile|clientAssertionFile/.test(missing.message), missing.message);
  const wrong = (await examine(world, ["--probe"], { VM_OIDC_CLIENT_SECRET: "no" })).found(
    "client",
  )!;
  assertMatch(wrong.message, /VM_OIDC_CLIENT_SECRET .*is its secret/);
  const env = { VM_OIDC_CLIENT_SECRET: CLIENT_SECRET };
  assertEquals((await examine(world, ["--probe"], env)).found("client")?.result, "ok");
});

Deno.test("doctor --refresh: renews an ended sign-in, once, and stores it", async () => {
  await using world = await cliWorld();
  const { refresh_token } = await world.signIn();
  await world.amend({ expires_at: "2020-01-01T00:00:00Z" });
  const { code, found } = await examine(world, ["--refresh"]);
  assertEquals([code, found("refresh")?.result, found("sign-in")?.result], [0, "ok", "ok"]);
  assertStringIncludes(found("sign-in")!.message, "a valid token is stored");
  assertNotEquals(world.stored().refresh_token, refresh_token);
  const asked = world.provider.requests.filter(({ path }) => path === "/token");
  assertEquals(asked.length, 1);
  await examine(world, ["--refresh"]); // a valid one, too
  assertEquals(world.provider.requests.filter(({ path }) => path === "/token").length, 2);
});

Deno.test("doctor --refresh: an ended session is a fail with the provider's answer", async () => {
  await using world = await cliWorld();
  await world.signIn();
  await world.amend({ expires_at: "2020-01-01T00:00:00Z" });
  assertEquals((await examine(world)).found("sign-in")?.result, "ok"); // not asked for
  world.provider.revokeGrants();
  const { code, found } = await examine(world, ["--refresh"]);
  assertEquals([code, found("refresh")?.result, found("sign-in")?.result], [1, "fail", "warning"]);
  assertStringIncludes(found("refresh")!.message, "the provider ended the sign-in");
});

Deno.test("doctor --refresh: without a sign-in there is nothing to refresh", async () => {
  await using world = await cliWorld();
  assertEquals((await examine(world, ["--refresh"])).found("refresh")?.result, "skipped");
});
