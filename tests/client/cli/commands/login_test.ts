import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { assertNoSecret } from "../../../support/assert_no_secret.ts";
import { BY_KEY, cliTest, ENDED } from "../cli_world.ts";

/** The lines of JSON that a program reads. */
function steps(text: string): Record<string, string>[] {
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}

cliTest("login: --json tells each step as a line of JSON, and the report last", async (world) => {
  const { code, stdout, stderr } = await world.run(["login", "--json"]);
  assertEquals(code, 0, stderr);
  const told = steps(stdout);
  const types = told.map(({ type }) => type);
  const some = ["sign_in_started", "provider_answered", "code_shown", "stored", "signed_in"];
  for (const type of some) assert(types.includes(type), `${type} is not in ${types}`);
  const shown = told.find(({ type }) => type === "code_shown")!;
  assertStringIncludes(shown.verification_uri!, world.provider.issuer);
  assertStringIncludes(stderr, shown.user_code!);
  assertEquals([told.at(-1)!.state, told.at(-1)!.subject], ["valid", "analyst@example.com"]);
  assertNoSecret(stdout, [world.stored().access_token, world.stored().refresh_token!]);
});

cliTest("login: asks on standard error, stores, and prints who it is", async (world) => {
  const env = { VM_OIDC_INTERACTIVE: "0" };
  const { code, stdout, stderr } = await world.run(["login"], { env });
  assertEquals(code, 0, stderr);
  assertStringIncludes(stderr, world.provider.issuer);
  assertMatch(stdout, /^Signed in +as analyst@example\.com \(Ada Analyst\)$/m);
  assertEquals(typeof world.stored().refresh_token, "string");

  world.provider.reset();
  const again = await world.run(["login", "--json"]);
  assertEquals([again.code, again.stderr], [0, ""]);
  assertEquals(steps(again.stdout).map(({ type, state }) => type ?? state), ["signed_in", "valid"]);
  assertEquals(world.provider.requests, [], "a sign-in that serves was thrown away");
  assertEquals(await world.run(["login", "--quiet"]), { code: 0, stdout: "", stderr: "" });
});

cliTest("login: a sign-in that serves is named, with its end", async (world) => {
  await world.signIn();
  const { code, stdout, stderr } = await world.run(["login"]);
  assertEquals([code, stderr], [0, ""]);
  const already = /^Already signed in.*run logout first\.\nSigned in +as .*\n(.*\n)+Token +valid/;
  assertMatch(stdout, already);
  await world.amend({ expires_at: ENDED });
  assertMatch((await world.run(["login"])).stdout, already);
});

cliTest("login: a refusal by the person is a failure, and nothing is stored", async (world) => {
  world.provider.autoApprove = { deny: true };
  const { code, stdout, stderr } = await world.run(["login"]);
  assertEquals([code, stdout], [1, ""]);
  assertStringIncludes(stderr, "error (device_code_denied): Cannot");
  assertEquals(world.backend.get(world.key), undefined);
});

cliTest("login: --open opens the browser by the listed permission", async (world) => {
  const bin = `${world.home}/bin`;
  await Deno.mkdir(bin);
  const script = `#!/bin/sh\nprintf '%s' "$1" > ${world.home}/opened\n`;
  await Deno.writeTextFile(`${bin}/xdg-open`, script, { mode: 0o755 });
  const env = { PATH: `${bin}:${Deno.env.get("PATH")}` };
  const listed = await world.run(["permissions", "--for", "cli", "--open", "--json"], { env });
  const { flags } = JSON.parse(listed.stdout);
  assertStringIncludes(flags, "--allow-run=xdg-open");
  const { code, stderr } = await world.run(["login", "--open"], { env, flags: flags.split(" ") });
  assertEquals(code, 0, stderr);
  assertStringIncludes(await Deno.readTextFile(`${world.home}/opened`), world.provider.issuer);
}, { ignore: Deno.build.os !== "linux" });

cliTest("login: a profile has an entry of its own, for every command", async (world) => {
  const run = async (command: string, ...flags: string[]) =>
    await world.run([command, "--profile", "second", ...flags]);
  assertEquals((await run("login")).code, 0);
  assertEquals(world.backend.get(world.key), undefined);
  const report = JSON.parse((await run("status", "--json")).stdout);
  assertEquals([report.state, report.profile], ["valid", "second"]);
  assertEquals((await world.run(["status", "--quiet"])).code, 4);
  assertEquals((await run("token")).code, 0);
  assertEquals((await world.run(["status"], { env: { VM_OIDC_PROFILE: "second" } })).code, 0);
  const doctor = JSON.parse((await run("doctor", "--json")).stdout);
  assertEquals(doctor.checks.at(-1).result, "ok");
  assertEquals((await run("logout", "--quiet")).code, 0);
  assertEquals((await run("status", "--quiet")).code, 4);
});

cliTest("login: a backend's options come from a file with variables", async (world) => {
  const options = '{"path": "${HOME}/${TEAM}/tokens.json"}';
  await Deno.writeTextFile(`${world.home}/options.json`, options);
  const env = { TEAM: "red" };
  const byFile = ["--backend", "file", "--backend-options", "options.json"];
  assertEquals((await world.run(["login", ...byFile], { env })).code, 0);
  await Deno.stat(`${world.home}/red/tokens.json`);

  assertEquals((await world.run(["status", "--quiet", ...byFile], { env })).code, 0);
  const unset = await world.run(["status", ...byFile]);
  assertEquals(unset.code, 2);
  assertStringIncludes(unset.stderr, "Cannot read --backend-options:");
  assertStringIncludes(unset.stderr, "${TEAM}, which is not set");
});

cliTest("login: with an API key there is nothing to do", async (world) => {
  const { code, stdout } = await world.run(["login"], { env: BY_KEY });
  assertEquals(code, 0);
  assertStringIncludes(stdout, "An API key is set");
});
