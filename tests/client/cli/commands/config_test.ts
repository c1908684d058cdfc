import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { dirname, join } from "@std/path";
import { HOME_VARIABLE } from "../../../../backends/common/platform.ts";
import { cliTest, type CliWorld, NO_CLIENT } from "../cli_world.ts";

/** Writes the settings file of a person, and gives its path. */
async function write(world: CliWorld, document: unknown): Promise<string> {
  const path = world.settingsPath;
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.writeTextFile(path, JSON.stringify(document), { mode: 0o644 });
  await Deno.chmod(path, 0o644);
  return path;
}

function client({ provider: { issuer, clientId } }: CliWorld) {
  return { issuer, clientId };
}

/** Runs a command without the variables that name provider and client. */
async function run(world: CliWorld, args: string[], env: Record<string, string> = {}) {
  return await world.run(args, { env: { ...NO_CLIENT, ...env } });
}

cliTest("config: every command finds a sign-in by the settings file", async (world) => {
  await write(world, client(world));
  const { code, stderr } = await run(world, ["login"]);
  assertEquals(code, 0, stderr);
  const report = await run(world, ["doctor"]);
  assertStringIncludes(report.stdout, "issuer by settings file");
  for (const args of [["status", "-q"], ["token"], ["list"], ["doctor", "-q"], ["logout", "-q"]]) {
    const result = await run(world, args);
    assertEquals([result.code, result.stderr], [0, ""], `${args}: ${result.stdout}`);
  }
  assertEquals(world.backend.get(world.key), undefined);
});

cliTest("config: a profile of the file has a provider and a store of its own", async (world) => {
  const store = { backend: "file", backendOptions: { path: "${HOME}/two/tokens.json" } };
  await write(world, { profiles: { two: { ...client(world), ...store } } });
  // The variables lead elsewhere: who types a profile means it.
  const env = { VM_OIDC_ISSUER: "https://other.example", VM_OIDC_CREDENTIALS_BACKEND: "memory" };
  const login = await run(world, ["login", "--profile", "two"], env);
  assertEquals(login.code, 0, login.stderr);
  assertStringIncludes(await Deno.readTextFile(`${world.home}/two/tokens.json`), "profile:two|");
  for (const args of [["status", "-q"], ["token"], ["list"]]) {
    assertEquals((await run(world, [...args, "--profile", "two"], env)).code, 0, `${args}`);
  }
  const list = await run(world, ["list", "--json"], { VM_OIDC_PROFILE: "two" });
  assertEquals(JSON.parse(list.stdout).sign_ins[0].profile, "two");
});

cliTest("config: migrate moves entries to the store of the file", async (world) => {
  await world.signIn();
  const store = { backend: "file", backendOptions: { path: "${HOME}/two/tokens.json" } };
  await write(world, { ...client(world), ...store });
  const { code, stderr } = await run(world, ["migrate", "--from", "file", "--delete-source"]);
  assertEquals([code, stderr], [0, ""]);
  assertStringIncludes(await Deno.readTextFile(`${world.home}/two/tokens.json`), world.key);
  assertEquals((await run(world, ["status", "-q"])).code, 0);
});

cliTest("config: shows what applies, and from where, without a secret", async (world) => {
  const scope = "openid offline_access";
  const path = await write(world, { ...client(world), scope, profiles: { two: {} } });
  const env = {
    VM_OIDC_CLIENT_ID: "of-variable",
    VM_OIDC_CLIENT_SECRET: "s3cr3t-of-somebody",
    VM_OIDC_CREDENTIALS_BACKEND: "vault",
    VM_OIDC_CREDENTIALS_BACKEND_KWARGS: '{"auth": {"token": "s3cr3t-of-somebody"}}',
  };
  const { code, stdout, stderr } = await run(world, ["config", "--scope", "openid"], env);
  assertEquals([code, stderr], [0, ""]);
  const { issuer } = world.provider;
  assertStringIncludes(stdout, `settings file  ${path} (profiles: two)`);
  assertMatch(stdout, new RegExp(`^issuer +${issuer} +settings file$`, "m"));
  assertMatch(stdout, /^clientId +of-variable +VM_OIDC_CLIENT_ID$/m);
  assertMatch(stdout, /^scope +openid +--scope$/m);
  assertMatch(stdout, /^backend +vault +VM_OIDC_CREDENTIALS_BACKEND$/m);
  assertMatch(stdout, /^backendOptions +\(set, not shown\) +VM_OIDC_CREDENTIALS_BACKEND_KWARGS$/m);
  const own = { ...env, VM_OIDC_DENO_CREDENTIALS_BACKEND: "memory" };
  const shown = (await world.run(["config"], { env: own })).stdout;
  assertMatch(shown, /^backend +memory +VM_OIDC_DENO_CREDENTIALS_BACKEND$/m);
  assert(!shown.includes("backendOptions"), "the options of another name");
  assertMatch(stdout, /^VM_OIDC_CLIENT_SECRET +\(set, not shown\) +VM_OIDC_CLIENT_SECRET$/m);

  const json = await run(world, ["config", "--json", "--scope", "openid"], env);
  assert(!`${stdout}${json.stdout}`.includes("s3cr3t"), json.stdout);
  const { file, settings } = JSON.parse(json.stdout);
  assertEquals(file, { path, state: "read", profiles: ["two"] });
  assertEquals(settings.issuer, { value: issuer, source: "settings file" });
  assertEquals(settings.VM_OIDC_CLIENT_SECRET, { source: "VM_OIDC_CLIENT_SECRET" });
});

cliTest("config: without a file it says where one would be", async (world) => {
  const { code, stdout } = await run(world, ["config"]);
  const path = world.settingsPath;
  assertEquals(code, 0);
  assertStringIncludes(stdout, `settings file  none: ${path}\n\nNothing is set.\n`);
  assertEquals((await run(world, ["config", "path"])).stdout, `${path}\n`);
  const [, command] = /run: validmind-auth (.*)$/m.exec(stdout)!;
  assertEquals((await run(world, command!.split(" "))).code, 0);
  assertMatch((await run(world, ["config"])).stdout, /^issuer +https:.* settings file$/m);
  const login = await run(world, ["login", "--config", "none.json"]);
  assertEquals(login.code, 2);
  assertStringIncludes(login.stderr, "error (settings_invalid): Cannot use the settings file none");
});

cliTest("config: set writes a private file, and unset takes out", async (world) => {
  const { issuer, clientId } = world.provider;
  const path = world.settingsPath;
  const set = await run(world, ["config", "set", "issuer", issuer, "client-id", clientId]);
  assertEquals([set.code, set.stderr], [0, ""]);
  assertEquals(JSON.parse(await Deno.readTextFile(path)), { issuer, clientId });
  if (Deno.build.os !== "windows") assertEquals((await Deno.stat(path)).mode! & 0o777, 0o600);
  assertEquals((await run(world, ["login", "-q"])).code, 0);

  const more = ["model", "cl1", "timeoutMs", "5000", "open", "true", "flow", "device"];
  assertEquals((await run(world, ["config", "set", ...more])).code, 0);
  const profile = ["--profile", "two", "authorizationParameters", '{"prompt": "login"}'];
  assertEquals((await run(world, ["config", "set", ...profile])).code, 0);
  const unset = await run(world, ["config", "unset", "flow", "client-id", "--json"]);
  assertEquals(JSON.parse(unset.stdout), { path, names: ["flow", "clientId"] });
  assertEquals(JSON.parse(await Deno.readTextFile(path)), {
    issuer,
    model: "cl1",
    timeoutMs: 5000,
    openBrowser: true,
    profiles: { two: { authorizationParameters: { prompt: "login" } } },
  });
});

const REFUSED: [args: string[], words: string][] = [
  [["isuer", "x"], 'Did you mean "issuer"?'],
  [["clientSecret", "s3cr3t"], "Set VM_OIDC_CLIENT_SECRET instead."],
  [["api-key", "s3cr3t"], "Set VM_API_KEY instead."],
  [["flow", "divice"], '"flow" is not one of auto, device'],
  [["timeoutMs", "long"], '"timeoutMs" is not a number'],
  [["issuer", ""], '"issuer" is empty'],
  [["backendOptions", '{"path": "x"}'], 'no "backend" beside'],
  [["backend", "vault", "backendOptions", '{"token": "s3cr3t"}'], "is a secret"],
  [["model"], "its value is missing"],
  [[], "its value is missing"],
];

cliTest("config: set refuses what cannot be used, and the file stays", async (world) => {
  const path = await write(world, client(world));
  const before = await Deno.readTextFile(path);
  for (const [args, words] of REFUSED) {
    const { code, stdout, stderr } = await run(world, ["config", "set", ...args]);
    assertEquals([code, stdout], [2, ""]);
    assertStringIncludes(stderr, words);
    assert(!stderr.includes("s3cr3t"), stderr);
  }
  assertEquals(await Deno.readTextFile(path), before);
});

cliTest("config: a setting of another client is shown as unused", async (world) => {
  await write(world, { apiHost: "https://api.example.com/", backend: "file", backendOptions: {} });
  const { stdout } = await world.run(["config"], { env: { VM_OIDC_CREDENTIALS_BACKEND: "file" } });
  assertMatch(stdout, /^apiHost +https:\S+ +settings file, unused: it is for the issuer/m);
  assertMatch(stdout, /^backend +file +VM_OIDC_CREDENTIALS_BACKEND$/m);
});

cliTest("config: unset mends a file with an unknown key", async (world) => {
  const path = await write(world, { ...client(world), isuer: "x" });
  assertEquals((await run(world, ["config", "set", "model", "x"])).code, 2);
  assertEquals((await run(world, ["config", "unset", "isuer"])).code, 0);
  assertEquals(JSON.parse(await Deno.readTextFile(path)), client(world));
  await Deno.writeTextFile(path, '{"issuer":\n 7 7}');
  const { code, stderr } = await run(world, ["config", "unset", "issuer"]);
  assertEquals(code, 2);
  assertStringIncludes(stderr, "it is not JSON (line 2 ");
  assertEquals(await Deno.readTextFile(path), '{"issuer":\n 7 7}');
});

cliTest("config: a file that cannot be used ends every command", async (world) => {
  const path = await write(world, { ...client(world), isuer: "x" });
  for (
    const args of [["login"], ["status"], ["token"], ["list"], ["logout", "--all"], ["config"]]
  ) {
    const { code, stdout, stderr } = await run(world, args);
    assertEquals([code, stdout], [2, ""], `${args}`);
    assertStringIncludes(
      stderr,
      `error (settings_invalid): Cannot use the settings file ${path}: `,
    );
    assertStringIncludes(stderr, 'unknown option "isuer". Did you mean "issuer"?');
  }
  const doctor = await run(world, ["doctor"]);
  assertEquals(doctor.code, 1);
  assertStringIncludes(doctor.stdout, `fail  settings  Cannot use the settings file ${path}: `);
  assertEquals((await run(world, ["--help"])).code, 0);
});

cliTest("config: a file that Deno does not permit is told", async (world) => {
  const path = join(world.home, "elsewhere.json");
  await Deno.writeTextFile(path, JSON.stringify({ ...client(world), clientId: "other" }));
  const env = { VM_AUTH_CONFIG: path };
  await world.signIn();
  const flags = [
    "--allow-env",
    `--allow-read=${world.folder}`,
    `--allow-write=${world.folder}`,
    "--allow-net",
  ];
  assertEquals((await world.run(["status", "-q"], { flags, env })).code, 0);
  const doctor = await world.run(["doctor"], { flags, env });
  assertEquals(doctor.code, 0, doctor.stdout);
  assertMatch(doctor.stdout, /^ +→ The settings file .* is not read: Deno does not permit it/m);
  assertStringIncludes(doctor.stdout, `--allow-read=${path}`);
  const config = JSON.parse((await world.run(["config", "--json"], { flags, env })).stdout);
  assertEquals([config.file.state, config.file.path], ["denied", path]);
  assertStringIncludes(config.file.reason, `--allow-read=${path}`);
  // Who names it needs it.
  const named = await world.run(["status", "--config", path], { flags });
  assertEquals(named.code, 1);
  assertStringIncludes(named.stderr, "error (permission_required): Cannot show the status");
  assertStringIncludes(named.stderr, `--allow-read=${path}`);
});

cliTest("config: an error about a setting leads to where it comes from", async (world) => {
  const entry = { ...client(world), listen: "0.0.0.0:80" };
  await write(world, entry);
  const { code, stderr } = await run(world, ["login"]);
  assertEquals(code, 2);
  assertStringIncludes(stderr, "--listen (VM_OIDC_LISTEN) is not a loopback host");
  assertStringIncludes(stderr, "Try: validmind-auth config, which shows where each value");
  assertMatch((await run(world, ["config"])).stdout, /^listen +0\.0\.0\.0:80 +settings file$/m);
});

cliTest("config: a wrong backend of the file is named by its place", async (world) => {
  const path = await write(world, { ...client(world), backend: "redis" });
  const { code, stderr } = await run(world, ["status"]);
  assertEquals(code, 2);
  assertStringIncludes(stderr, `"backend" in ${path}="redis": it is neither`);
  assertStringIncludes(stderr, "Give one of file, memory, kv");
  const backendOptions = { path: "${NO_SUCH_VARIABLE}/x.json" };
  await write(world, { ...client(world), backend: "file", backendOptions });
  const unset = await run(world, ["status"]);
  assertEquals(unset.code, 2);
  assertStringIncludes(unset.stderr, `"backendOptions" in ${path}`);
  assertStringIncludes(unset.stderr, "NO_SUCH_VARIABLE");
});

cliTest("config: permissions lists the file, also for a script", async (world) => {
  const path = await write(world, {
    ...client(world),
    backend: "kv",
    backendOptions: { path: "/srv/vm/tokens.db" },
  });
  const { code, stdout, stderr } = await run(world, ["permissions", "--for", "cli", "--json"]);
  assertEquals(code, 0, stderr);
  const { flags } = JSON.parse(stdout);
  assertStringIncludes(flags, "--unstable-kv ");
  assertMatch(flags, new RegExp(`--allow-read=\\S*${RegExp.escape(path)}`));
  assertMatch(flags, /--allow-read=\S*\/srv\/vm/);
  assertStringIncludes(flags, "--allow-sys=uid");
  const script = await run(world, ["permissions"], world.env);
  assertEquals(script.code, 0, script.stderr);
  for (const part of [path, "/srv/vm", "--unstable-kv"]) assertStringIncludes(script.stdout, part);
});

cliTest("config: a variable that may not be read could win, and is told", async (world) => {
  await write(world, client(world));
  const flags = [
    "--allow-read",
    "--allow-sys=uid",
    `--allow-env=${HOME_VARIABLE},VM_OIDC_NO_PERSIST,VM_OIDC_DENO_CREDENTIALS_BACKEND,VM_OIDC_CREDENTIALS_BACKEND`,
  ];
  const { code, stderr } = await world.run(["status"], { flags });
  assertEquals(code, 1);
  assertStringIncludes(stderr, "Deno does not permit env VM_OIDC_ISSUER (to know who signs in");
});

cliTest("config: the flags for this program are enough to sign in by the file", async (world) => {
  await write(world, client(world));
  const { stdout } = await run(world, ["permissions", "--for", "cli", "--json"]);
  const { flags } = JSON.parse(stdout);
  const { code, stderr } = await world.run(["login", "-q"], {
    flags: flags.split(" "),
    env: NO_CLIENT,
  });
  assertEquals(code, 0, stderr);
  world.stored();
});
