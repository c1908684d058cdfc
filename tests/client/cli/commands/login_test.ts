import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { isPosix } from "../../../support/sandbox.ts";
import { assertNoSecret } from "../../../support/assert_no_secret.ts";
import { cliWorld } from "../cli_world.ts";

/** The lines of JSON that a program reads. */
function steps(text: string): Record<string, string>[] {
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}

Deno.test("login: --json tells each step as a line of JSON, link and code too, and the report last", async () => {
  await using world = await cliWorld();
  const { code, stdout, stderr } = await world.run(["login", "--json"]);
  assertEquals(code, 0, stderr);
  const told = steps(stdout);
  const types = told.map(({ type }) => type);
  for (
    const type of ["sign_in_started", "provider_answered", "code_shown", "stored", "signed_in"]
  ) {
    assert(types.includes(type), `${type} is not in ${types}`);
  }
  const shown = told.find(({ type }) => type === "code_shown")!;
  assertStringIncludes(shown.verification_uri!, world.provider.issuer);
  assertStringIncludes(stderr, shown.user_code!);
  assertEquals([told.at(-1)!.state, told.at(-1)!.subject], ["valid", "analyst@example.com"]);
  assertNoSecret(stdout, [world.stored().access_token, world.stored().refresh_token!]);
});

Deno.test("login: asks on standard error, stores, and prints who it is", async () => {
  await using world = await cliWorld();
  const { code, stdout, stderr } = await world.run(["login"], {
    env: { VM_OIDC_INTERACTIVE: "0" },
  });
  assertEquals(code, 0, stderr);
  assertStringIncludes(stderr, world.provider.issuer);
  assertMatch(stdout, /^Signed in +as analyst@example\.com \(Ada Analyst\)$/m);
  assertEquals(typeof world.stored().refresh_token, "string");

  world.provider.reset();
  const again = await world.run(["login", "--json"]);
  assertEquals([again.code, again.stderr], [0, ""]);
  assertEquals(steps(again.stdout).map(({ type, state }) => type ?? state), ["signed_in", "valid"]);
  assertEquals(world.provider.requests, [], "a sign-in that serves was thrown away");
});

Deno.test("login: a sign-in that serves is named, with its end and the way to another", async () => {
  await using world = await cliWorld();
  await world.signIn();
  const { code, stdout, stderr } = await world.run(["login"]);
  assertEquals([code, stderr], [0, ""]);
  assertMatch(
    stdout,
    /^Already signed in as analyst@example\.com \(Ada Analyst\), until \d{4}-\S+ \S+ \S+ \(in .*\)\.$/m,
  );
  assertStringIncludes(stdout, "run logout first");
  await world.amend({ expires_at: "2020-01-01T00:00:00Z" });
  assertMatch((await world.run(["login"])).stdout, /^Already signed in as .* \(in .*\)\.$/m);
});

Deno.test({
  name: "login: --open opens the page in the browser, with the permission that is listed for it",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using world = await cliWorld();
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
  },
});

Deno.test("login: a profile has an entry of its own, for every command", async () => {
  await using world = await cliWorld();
  const profile = ["--profile", "second"];
  assertEquals((await world.run(["login", ...profile])).code, 0);
  assertEquals(world.backend.get(world.key), undefined);
  const report = JSON.parse((await world.run(["status", "--json", ...profile])).stdout);
  assertEquals([report.state, report.profile], ["valid", "second"]);
  assertEquals((await world.run(["status", "--quiet"])).code, 4);
  assertEquals((await world.run(["token", ...profile])).code, 0);
  assertEquals((await world.run(["status"], { env: { VM_OIDC_PROFILE: "second" } })).code, 0);
  const doctor = JSON.parse((await world.run(["doctor", "--json", ...profile])).stdout);
  assertEquals(doctor.checks.at(-1).result, "ok");
  assertEquals((await world.run(["logout", "--quiet", ...profile])).code, 0);
  assertEquals((await world.run(["status", "--quiet", ...profile])).code, 4);
});

Deno.test("login: --quiet prints no result", async () => {
  await using world = await cliWorld();
  await world.signIn();
  assertEquals(await world.run(["login", "--quiet"]), { code: 0, stdout: "", stderr: "" });
});

Deno.test("login: a refusal by the person is a failure, and nothing is stored", async () => {
  await using world = await cliWorld();
  world.provider.autoApprove = { deny: true };
  const { code, stdout, stderr } = await world.run(["login"]);
  assertEquals([code, stdout], [1, ""]);
  assertStringIncludes(stderr, "error (device_code_denied): Cannot");
  assertEquals(world.backend.get(world.key), undefined);
});

for (
  const [what, args, env] of [
    ["--backend memory", ["--backend", "memory"], {}],
    ["VM_OIDC_NO_PERSIST", [], { VM_OIDC_NO_PERSIST: "1" }],
  ] as const
) {
  Deno.test(`login: ${what} is refused before anybody is asked`, async () => {
    await using world = await cliWorld();
    const { code, stderr } = await world.run(["login", ...args], { env });
    assertEquals(code, 2);
    assertStringIncludes(stderr, "keeps tokens only while this program runs");
    assertEquals(world.provider.requests, []);
  });
}

Deno.test("login: a backend gets its options from a file, with variables", async () => {
  await using world = await cliWorld();
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

for (
  const [name, args, words] of [
    ["an unknown backend", ["--backend", "fil"], 'Cannot use --backend="fil"'],
    ["a bare module", ["--backend", "pkg:Store"], 'Cannot use --backend="pkg:Store"'],
    ["options without a backend", ["--backend-options", "x.json"], "it needs --backend"],
    [
      "a file that is not there",
      ["--backend", "file", "--backend-options", "no.json"],
      "Cannot read the file no.json of --backend-options: it is not there",
    ],
    [
      "a folder as file",
      ["--backend", "file", "--backend-options", "."],
      // Windows says no more of a folder than that it cannot be read.
      `Cannot read the file . of --backend-options: it ${isPosix ? "is a folder" : ""}`,
    ],
    [
      "an unknown option",
      ["--backend", "file", "--backend-options", "wrong.json"],
      'unknown option "pth"',
    ],
  ] as const
) {
  Deno.test(`login: ${name} is exit code 2`, async () => {
    await using world = await cliWorld();
    await Deno.writeTextFile(`${world.home}/wrong.json`, '{"pth": "/x"}');
    const { code, stderr } = await world.run(["login", ...args]);
    assertEquals(code, 2, stderr);
    assertStringIncludes(stderr, words);
    assertEquals(world.provider.requests, []);
  });
}

Deno.test("login: with an API key there is nothing to do", async () => {
  await using world = await cliWorld();
  const env = { VM_OIDC_ISSUER: "", VM_OIDC_CLIENT_ID: "", VM_API_KEY: "k", VM_API_SECRET: "s" };
  const { code, stdout } = await world.run(["login"], { env });
  assertEquals(code, 0);
  assertStringIncludes(stdout, "An API key is set");
});
