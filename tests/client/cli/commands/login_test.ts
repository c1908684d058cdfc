import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { runCli } from "../../../../client/cli.ts";
import { assertNoSecret } from "../../../support/assert_no_secret.ts";
import { OwnEnv } from "../../../support/own_env.ts";
import { OwnStreams } from "../../../support/own_streams.ts";
import { BY_KEY, cliTest, ENDED } from "../cli_world.ts";

/** The lines of JSON that a program reads. */
function steps(text: string): Record<string, string>[] {
  return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

cliTest("login: --json tells each step as a line of JSON, and the report last", async (world) => {
  const { stdout, stderr } = await world.says("login --json", 0);
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

cliTest(
  "login: --json tells the link of a sign-in in the browser on both streams",
  async (world) => {
    using _ = new OwnEnv(world.env);
    using streams = new OwnStreams();
    const running = runCli(["login", "--json", "--flow", "browser"]);
    const link = () => steps(streams.written.stdout).find(({ type }) => type === "link_shown")?.url;
    while (link() === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
    await world.provider.follow(link()!);
    assertEquals(await running, 0, streams.written.stderr);
    assertStringIncludes(streams.written.stderr, `Open ${link()}\n`);
  },
);

cliTest("login: asks on standard error, stores, and keeps a sign-in that serves", async (world) => {
  const { stdout, stderr } = await world.says("VM_OIDC_INTERACTIVE=0 login", 0);
  assertStringIncludes(stderr, world.provider.issuer);
  assertMatch(stdout, /^Signed in +as analyst@example\.com \(Ada Analyst\)$/m);
  assertEquals(typeof world.stored().refresh_token, "string");

  world.provider.reset();
  const again = await world.says("login --json", 0);
  assertEquals(again.stderr, "");
  assertEquals(steps(again.stdout).map(({ type, state }) => type ?? state), ["signed_in", "valid"]);
  assertEquals(await world.run(["login", "--quiet"]), { code: 0, stdout: "", stderr: "" });
  const already = /^Already signed in.*run logout first\.\nSigned in +as .*\n(.*\n)+Token +valid/;
  await world.says("login", 0, already);
  assertEquals(world.provider.requests, [], "a sign-in that serves was thrown away");
  await world.amend({ expires_at: ENDED });
  await world.says("login", 0, already);
});

cliTest("login: a refusal by the person is a failure, and nothing is stored", async (world) => {
  world.provider.autoApprove = { deny: true };
  assertEquals((await world.says("login", 1, "error (device_code_denied): Cannot")).stdout, "");
  assertEquals(world.backend.get(world.key), undefined);
});

cliTest("login: --open opens the browser by the listed permission", async (world) => {
  const script = `#!/bin/sh\nprintf '%s' "$1" > ${world.home}/opened\n`;
  await Deno.chmod(await world.write(script, "bin/xdg-open"), 0o755);
  const env = { PATH: `${world.home}/bin:${Deno.env.get("PATH")}` };
  const { json } = await world.says("permissions --for cli --open --json", 0, { env });
  assertStringIncludes(json.flags, "--allow-run=xdg-open");
  await world.says("login --open", 0, { env, flags: json.flags.split(" ") });
  assertStringIncludes(await Deno.readTextFile(`${world.home}/opened`), world.provider.issuer);
}, { ignore: Deno.build.os !== "linux" });

cliTest("login: a profile has an entry of its own, for every command", async (world) => {
  await world.says("login --profile second", 0);
  assertEquals(world.backend.get(world.key), undefined);
  const { json } = await world.says("status --json --profile second", 0);
  assertEquals([json.state, json.profile], ["valid", "second"]);
  await world.says("status --quiet", 4);
  await world.says("token --profile second", 0);
  await world.says("VM_OIDC_PROFILE=second status", 0);
  await world.says("doctor --profile second", 0, /^ok +sign-in/m);
  await world.says("logout --quiet --profile second", 0);
  await world.says("status --quiet --profile second", 4);
});

cliTest("login: a backend's options come from a file with variables", async (world) => {
  await world.write('{"path": "${HOME}/${TEAM}/tokens.json"}', "options.json");
  const byFile = "--backend file --backend-options options.json";
  await world.says(`TEAM=red login ${byFile}`, 0);
  await Deno.stat(`${world.home}/red/tokens.json`);
  await world.says(`TEAM=red status --quiet ${byFile}`, 0);
  await world.says(
    `status ${byFile}`,
    2,
    "Cannot read --backend-options:",
    "${TEAM}, which is not",
  );
});

cliTest("login: with an API key there is nothing to do", async (world) => {
  await world.says("login", 0, "An API key is set", { env: BY_KEY });
});
