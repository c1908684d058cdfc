import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { HOME_VARIABLE } from "../../../../backends/common/platform.ts";
import { startScriptedProvider } from "../../../support/scripted_provider.ts";
import { cliTest } from "../cli_world.ts";

cliTest("permissions: a command line, and the same as a permission set", async (world) => {
  const args = ["permissions", "--api-host", "https://api.example.com/v1/"];
  const { code, stdout, stderr } = await world.run(args, { flags: ["--allow-env"] });
  assertEquals([code, stderr], [0, ""]);
  const host = new URL(world.provider.issuer).host;
  const folder = world.folder;
  const line = `deno run --allow-read=${folder} --allow-write=${folder} ` +
    `--allow-net=api.example.com:443,${host} --allow-env=VM_OIDC_ISSUER,VM_OIDC_CLIENT_ID,` +
    `VM_OIDC_NO_PERSIST,VM_OIDC_DENO_CREDENTIALS_BACKEND,VM_OIDC_CREDENTIALS_BACKEND,${HOME_VARIABLE} script.ts`;
  assertEquals(stdout.split("\n")[0], line);
  assertStringIncludes(stdout, "Only to sign in or refresh:\n  --allow-read=");
  assertMatch(stdout, /not set here:\n {2}--allow-env=.*VM_OIDC_SCOPE/);
  const set = JSON.parse(stdout.slice(stdout.indexOf("{")));
  assertEquals(set.permissions.validmind.net, ["api.example.com:443", host]);
  assertEquals(world.provider.requests, []);
});

cliTest("permissions: an optional variable that is set is named", async (world) => {
  const env = { VM_OIDC_SCOPE: "openid", VM_API_HOST: "https://api.example.com/" };
  const { stdout } = await world.run(["permissions", "--json"], { env });
  const { flags, optional_flags, needs } = JSON.parse(stdout);
  assertMatch(flags, /--allow-env=\S*VM_OIDC_SCOPE/);
  assertMatch(flags, /--allow-net=\S*api\.example\.com:443/);
  assert(!optional_flags.includes("VM_OIDC_SCOPE"));
  assert(needs.length > 5);
  for (const need of needs) assertEquals(Object.keys(need), ["name", "scope", "need", "reason"]);
});

cliTest("permissions: init has the model's variable and a default host", async (world) => {
  const env = { VM_API_MODEL: "cl123" };
  const { stdout } = await world.run(["permissions", "--for", "init", "--json"], { env });
  const { flags } = JSON.parse(stdout);
  assertMatch(flags, /--allow-env=\S*VM_API_MODEL/);
  assertMatch(flags, /--allow-net=\S*localhost:5000/);
});

cliTest("permissions: Deno KV comes with its unstable flag", async (world) => {
  await Deno.writeTextFile(`${world.home}/kv.json`, '{"path": "/srv/vm/tokens.db"}');
  const kv = ["--backend", "kv", "--backend-options", "kv.json"];
  const script = await world.run(["permissions", ...kv]);
  assertMatch(script.stdout, /^deno run --unstable-kv --allow-read=\/srv\/vm /);
  const cli = await world.run(["permissions", "--for", "cli", ...kv]);
  assertMatch(
    cli.stdout,
    /^deno install --global --force --name validmind-auth --unstable-kv --allow-read=/,
  );
});

cliTest("permissions: of a backend whose options name variables, these too", async (world) => {
  const options = { path: "/srv/${STORE_USER}/c.json" };
  const text = JSON.stringify(options);
  await Deno.writeTextFile(`${world.home}/file.json`, text);
  await Deno.mkdir(`${world.home}/.config/validmind-auth`, { recursive: true });
  const settings = { backend: "file", backendOptions: options };
  const config = `${world.home}/settings.json`;
  await Deno.writeTextFile(config, JSON.stringify(settings), { mode: 0o600 });
  const identity = ["--issuer", "https://login.example.com", "--client-id", "x"];
  const variables = {
    VM_OIDC_DENO_CREDENTIALS_BACKEND: "file",
    VM_OIDC_DENO_CREDENTIALS_BACKEND_KWARGS: text,
  };
  const cases: [args: string[], env: Record<string, string>][] = [
    [["--for", "cli", "--backend", "file", "--backend-options", "file.json", ...identity], {}],
    [["--for", "cli", "--config", config, ...identity], {}],
    [["--for", "cli", ...identity], variables],
    [["--for", "script", ...identity], variables],
  ];
  for (const [args, env] of cases) {
    const { stdout, stderr } = await world.run(["permissions", "--json", ...args], {
      env: { STORE_USER: "anna", ...env },
    });
    assertEquals(stderr, "", args.join(" "));
    assertMatch(JSON.parse(stdout).flags, /--allow-env=\S*\bSTORE_USER\b/, args.join(" "));
  }
});

cliTest("permissions: a migration names a variable that is denied", async (world) => {
  await Deno.writeTextFile(`${world.home}/file.json`, '{"path": "/srv/${STORE_USER}/c.json"}');
  const args = ["migrate", "--from", "kv", "--to", "file", "--to-options", "file.json"];
  const { code, stderr } = await world.run(args, {
    flags: ["--unstable-kv", "--allow-read", "--allow-env=HOME"],
  });
  assertEquals(code, 1);
  assertStringIncludes(stderr, "env STORE_USER (to complete the backend's options)");
});

cliTest("permissions: --discover asks the provider for its other hosts", async (world) => {
  await using provider = await startScriptedProvider({
    discovery: { jwks_uri: "https://keys.example.com/jwks" },
  });
  const args = ["--issuer", provider.issuer, "--client-id", "x", "--json"];
  for (const kind of ["script", "cli"]) {
    const without = await world.run(["permissions", "--for", kind, ...args]);
    assert(!without.stdout.includes("keys.example.com"));
    const { stdout } = await world.run(["permissions", "--for", kind, "--discover", ...args]);
    assertMatch(JSON.parse(stdout).flags, /--allow-net=\S*keys\.example\.com:443/);
  }
});

cliTest("permissions: a script reads no settings file, and --config is refused", async (world) => {
  await Deno.writeTextFile(`${world.home}/config.json`, "{}", { mode: 0o600 });
  const { code, stderr } = await world.run(["permissions", "--config", "config.json"]);
  assertEquals(code, 2);
  assertStringIncludes(stderr, "Cannot use --config with --for script");
});
