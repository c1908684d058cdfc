import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { startScriptedProvider } from "../../../support/scripted_provider.ts";
import { freePort } from "../../../support/servers/free_port.ts";
import { sha256Hex } from "../../../support/sha256_hex.ts";
import { BY_KEY, cliTest, type CliWorld, ENDED } from "../cli_world.ts";

interface Check {
  check: string;
  result: string;
  message: string;
  advice?: string;
}

async function examine(world: CliWorld, args: string[] = [], env: Record<string, string> = {}) {
  const { code, stdout, stderr } = await world.run(["doctor", "--json", ...args], { env });
  assertEquals(stderr, "");
  const report = JSON.parse(stdout) as { ok: boolean; checks: Check[] };
  assertEquals(report.ok, code === 0);
  return {
    code,
    found: (check: string) => report.checks.find((one) => one.check === check),
    results: report.checks.map((one) => `${one.check}: ${one.result}`),
  };
}

const ALL_WELL = ["settings", "permissions", "store", "provider", "sign-in"]
  .map((check) => `${check}: ok`);

cliTest("doctor: all is well, and no token goes anywhere", async (world) => {
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

cliTest("doctor: a warning says what to do, and is no failure", async (world) => {
  const { code, found } = await examine(world);
  assertEquals([code, found("sign-in")?.result], [0, "warning"]);
  const { stdout } = await world.run(["doctor"]);
  assertMatch(stdout, /^warning +sign-in +nobody is signed in\n +→ Run: validmind-auth login$/m);
});

cliTest("doctor: without a provider, the store is examined all the same", async (world) => {
  const closed = `http://127.0.0.1:${freePort()}`;
  const args = ["--issuer", closed];
  const { code, results, found } = await examine(world, args);
  assertEquals(code, 1);
  assert(results.includes("store: ok"));
  assertEquals(found("provider")?.result, "fail");
  assertMatch(found("provider")!.message, /: nothing answers at that host and port/);
  assertEquals((await world.run(["doctor", "--quiet", ...args])).code, 1);
});

cliTest("doctor: missing permissions are a fail that leads to all flags", async (world) => {
  const none = await world.run(["doctor"], { flags: [] });
  assertEquals([none.code, none.stderr], [1, ""]);
  assertMatch(none.stdout, /^fail +settings +Cannot examine the sign-in: Deno does not permit/m);
  assertStringIncludes(none.stdout, "--allow-env=VM_OIDC_ISSUER,VM_OIDC_CLIENT_ID");
  assertMatch(none.stdout, /^ +→ All flags at once: .* permissions --for cli$/m);

  const some = await world.run(["doctor", "--json"], { flags: ["--allow-env", "--allow-net"] });
  const fails = (JSON.parse(some.stdout).checks as Check[]).filter(({ result }) =>
    result === "fail"
  );
  assertEquals(fails.map(({ check }) => check), ["permissions"]);
  assertStringIncludes(fails[0]!.message, `--allow-write=${world.folder}`);
});

cliTest("doctor: missing settings are a fail that says what to give", async (world) => {
  const { code, results, found } = await examine(world, [], { VM_OIDC_ISSUER: "" });
  assertEquals([code, results], [1, ["settings: fail"]]);
  assertStringIncludes(found("settings")!.message, "--issuer");
});

cliTest("doctor: a damaged store is a fail, and is not changed", async (world) => {
  await world.signIn();
  await Deno.writeTextFile(world.backend.path, "{damaged");
  const { code, found } = await examine(world);
  assertEquals([code, found("store")?.result, found("sign-in")?.result], [1, "fail", "fail"]);
  assertStringIncludes(found("store")!.message, world.backend.path);
  assertEquals(await Deno.readTextFile(world.backend.path), "{damaged");
});

const WARNINGS: [change: Record<string, unknown>, words: string, scope?: string][] = [
  [{ expires_at: ENDED, refresh_token: null }, "Run: validmind-auth login"],
  [{ refresh_token: null }, "The provider gave no refresh token"],
  [{ refresh_token: null }, "Ask for the scope offline_access", "openid"],
];

cliTest("doctor: a sign-in that ends soon is a warning", async (world) => {
  for (const [change, words, scope] of WARNINGS) {
    await world.signIn();
    await world.amend(change);
    const { code, found } = await examine(world, scope === undefined ? [] : ["--scope", scope]);
    assertEquals([code, found("sign-in")?.result], [0, "warning"]);
    assertStringIncludes(found("sign-in")!.advice!, words);
    await world.backend.delete(world.key);
  }
});

cliTest("doctor: with an API key there are only permissions to examine", async (world) => {
  const { results } = await examine(world, [], BY_KEY);
  assertEquals(results, ["settings: ok", "permissions: ok"]);
});

cliTest("doctor: a provider with another issuer is a fail", async (world) => {
  const discovery = { issuer: "https://b.example" };
  await using provider = await startScriptedProvider({ discovery });
  const args = ["--issuer", provider.issuer, "--client-id", provider.clientId];
  assertEquals((await examine(world, args)).found("provider")?.result, "fail");
});
