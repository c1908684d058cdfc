import { generateDpopKey } from "../../../../client/provider/dpop_key.ts";
import { assertNoSecret } from "../../../support/assert_no_secret.ts";
import { ALL, DENO, startDeno } from "../../../support/deno_process.ts";
import { isPosix } from "../../../support/sandbox.ts";
import { credentialKey } from "@validmind/auth";
import { BY_KEY, CLI, cliTest, ENDED, quoted } from "../cli_world.ts";
import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";

cliTest("token: the bearer or a format, and no network", async (world) => {
  const { access_token, expires_at } = await world.signIn();
  const end = Math.floor(Date.parse(expires_at!) / 1000);
  const printed: [flags: string, text: string][] = [
    ["", `${access_token}\n`],
    ["--format git", `username=oauth2\npassword=${access_token}\npassword_expiry_utc=${end}\n`],
  ];
  for (const [flags, text] of printed) {
    assertEquals((await world.says(`token ${flags}`, 0)).stdout, text);
  }
  for (const flags of ["--json", "--format json"]) {
    const { expires_in, ...answer } = (await world.says(`token ${flags}`, 0)).json;
    assertEquals(answer, { token: access_token, token_type: "Bearer", expires_at });
    assert(expires_in > 3500 && expires_in <= 3600);
  }
  const { issuer, clientId } = world.provider;
  const { jwk: dpop_key } = await generateDpopKey();
  const bound = credentialKey(issuer, clientId, undefined, { dpop: true });
  await world.backend.put(bound, { ...world.stored(), dpop_key });
  await world.write({ issuer, clientId, dpop: true });
  assertEquals((await world.says("token --json", 0)).json.token_type, "DPoP");
  await world.write({});
  assertEquals((await world.says("token --format exec-credential", 0)).json, {
    apiVersion: "client.authentication.k8s.io/v1",
    kind: "ExecCredential",
    status: { token: access_token, expirationTimestamp: expires_at },
  });
  assertEquals(world.provider.requests, []);
});

cliTest("token: what has ended is refreshed, and --refresh does it before", async (world) => {
  let before = (await world.signIn()).access_token;
  await world.amend({ expires_at: ENDED });
  for (const line of ["token", "token --refresh"]) {
    const { access_token } = (await world.says(line, 0), world.stored());
    assertNotEquals(access_token, before);
    before = access_token;
  }
  assertEquals((await world.says("token", 0)).stdout, `${before}\n`);
});

cliTest("token: without a sign-in it is exit code 4, and asks nobody", async (world) => {
  for (const flags of ["", "--format exec-credential", "--format git"]) {
    const words = ["error (login_required): Cannot", "validmind-auth login --issuer"];
    assertEquals((await world.says(`token ${flags}`, 4, ...words)).stdout, "");
  }
  const { stdout, stderr } = await world.says("token --json", 4);
  assertEquals([stdout, JSON.parse(stderr).error.code], ["", "login_required"]);
  assertEquals(world.provider.requests, []);
});

cliTest("token: a provider that is away is exit code 1, a refused refresh is 4", async (world) => {
  const before = await world.signIn();
  await world.amend({ expires_at: ENDED });
  world.provider.beforeAnswer = () => "drop";
  await world.says("token", 1, "error (provider_unavailable): Cannot");
  assertEquals(world.stored().refresh_token, before.refresh_token);
  world.provider.beforeAnswer = undefined;
  world.provider.revokeGrants();
  assertEquals((await world.says("token", 4)).stdout, "");
});

cliTest("token: --login asks on standard error, so that the token stands alone", async (world) => {
  const line = "VM_OIDC_INTERACTIVE=0 token --login";
  const { stdout } = await world.says(line, 0, world.provider.issuer);
  assertEquals(stdout, `${world.stored().access_token}\n`);
  await world.says("token", 1, "error (no_access_token)", { env: BY_KEY });
});

cliTest("token: new tokens that could not be stored are an error", async (world) => {
  await world.signIn();
  world.provider.beforeAnswer = async ({ path }) => {
    if (path !== "/token") return;
    // A store of a newer version is read and never written.
    const document = JSON.parse(await Deno.readTextFile(world.backend.path));
    await Deno.writeTextFile(world.backend.path, JSON.stringify({ ...document, version: 99 }));
  };
  const words = "error (credentials_not_stored): Cannot store the new tokens";
  assertEquals((await world.says("token --refresh", 1, words)).stdout, "");
});

cliTest("debug: each step is told with its time, without secrets", async (world) => {
  const flags = ALL;
  const steps = [
    "refresh_started",
    'provider_answered {"endpoint":"token","status":200}',
    "stored",
  ];
  for (const line of ["token --debug", "VM_AUTH_DEBUG=1 token"]) {
    const before = await world.signIn();
    await world.amend({ expires_at: ENDED });
    const words = steps.map((step) => `validmind-auth ${step}`);
    const { stdout, stderr } = await world.says(line, 0, ...words, { flags });
    const { access_token, refresh_token } = world.stored();
    assertEquals(stdout, `${access_token}\n`);
    const lines = stderr.trimEnd().split("\n");
    for (const line of lines) assertMatch(line, /^\d{4}-\d\d-\d\dT\S+Z validmind-auth \w+/);
    assertMatch(lines.at(-1)!, / signed_in {"expiresAt":/);
    assertNoSecret(stderr, [access_token, refresh_token!, before.refresh_token!]);
  }
  // A stored token that serves is told, too, and nothing without the flag.
  const told = await world.says("token --debug", 0, { flags });
  assertMatch(told.stderr, /^\S+ validmind-auth signed_in {"expiresAt":"\S+"}\n$/);
  assertEquals((await world.says("token", 0, { flags })).stderr, "");
});

cliTest("debug: a store's own error has its place, and else its words alone", async (world) => {
  const ended = JSON.stringify({ access_token: "a", refresh_token: "r", expires_at: ENDED });
  const code = `export class Own {
    get() { throw new Error("is locked"); }
    put() {}
    delete() {}
  }
  export class Unlocked extends Own {
    get() { return ${ended}; }
    withLock() { throw new RangeError("no lock row"); }
  }`;
  const line = `token --backend ${quoted(await world.write(code, "store.ts"))}`;
  const flags = ALL;
  const plain = /See the cause.*\ncaused by Error: is locked\n$/;
  await world.says(`${line}:Own`, 1, plain, { flags });
  await world.says(
    `VM_AUTH_DEBUG=1 ${line}:Unlocked`,
    1,
    / refresh_failed {"code":"backend_unavailable"} .*Cannot lock credentials in Unlocked/,
    /no lock row\n +at Unlocked\.withLock \(file:.*store\.ts:8:\d+\)\n}/,
    { flags },
  );
});

/** A program that prints what it got, and ends with 7. */
const REPORT = `const input = await new Response(Deno.stdin.readable).text();
  const names = ["VM_ACCESS_TOKEN", "MINE"];
  console.log(JSON.stringify([...names.map((name) => Deno.env.get(name)), Deno.args, input]));
  console.error("to standard error");
  Deno.exit(7);`;
const PROGRAM = `${quoted(DENO)} eval --ext=ts '${REPORT}'`;

cliTest("exec: the program has token, streams and its own exit code", async (world) => {
  await world.signIn();
  await world.amend({ expires_at: ENDED });
  const run = { flags: ALL, stdin: "from outside" };
  const { json } = await world.says(`exec -- ${PROGRAM} --json -h`, 7, "to standard error", run);
  const { access_token } = world.stored(); // which was refreshed before
  assertEquals(json, [access_token, null, ["--json", "-h"], "from outside"]);
  // Dashes are optional.
  const other = await world.says(`exec --variable MINE ${PROGRAM}`, 7, { flags: ALL });
  assertEquals(other.json, [null, access_token, [], ""]);
});

cliTest("exec: what cannot be run has an exit code of its own", async (world) => {
  const login = "error (login_required): Cannot";
  assertEquals((await world.says(`exec -- ${PROGRAM}`, 4, login)).stdout, "");
  await world.signIn();
  await world.says("exec no-such-program", 127, "Cannot run no-such-program: there is no such");
  await Deno.writeTextFile(`${world.home}/data`, "text", { mode: 0o600 });
  if (isPosix) {
    await world.says(`exec ${quoted(world.home)}/data`, 126, "the system does not start it");
  }
  await world.says("exec", 2, "none is given");
  await world.says("exec --variable A=B x", 2, "Cannot use --variable");
  const flags = ["--allow-env", "--allow-read"];
  await world.says("exec -- some-program", 1, /,PATH .*--allow-run=some-program jsr:/, { flags });
});

cliTest("exec: a relative folder of PATH is refused, before a token is got", async (world) => {
  const words = "PATH has the relative folder";
  const path = `${world.home}/data`;
  for (const folders of ["bin:/usr/bin", "/usr/bin:", "."]) {
    const said = "error (program_failed): Cannot run ls";
    await world.says(`PATH=${folders} exec ls`, 126, said, words);
    await world.says(`PATH=${folders} exec ${path}`, 4, "login_required"); // it is not looked for
  }
}, { ignore: !isPosix });

cliTest("exec: hands SIGTERM on, and waits for the program's own end", async (world) => {
  await world.signIn();
  const code = `Deno.addSignalListener("SIGTERM", () => { console.log("told"); Deno.exit(9); });
    console.log("ready"); setInterval(() => {}, 1000);`;
  const args = ["exec", "--", DENO, "eval", "--ext=ts", code];
  await using running = startDeno({ file: CLI, flags: ALL, args, env: world.env });
  assertEquals(await running.line(), "ready");
  Deno.kill(running.pid, "SIGTERM");
  assertEquals(await running.line(), "told");
  assertEquals((await running.end()).code, 9);
}, { ignore: !isPosix });
