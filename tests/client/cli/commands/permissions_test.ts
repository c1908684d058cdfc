import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { HOME_VARIABLE } from "../../../../backends/common/platform.ts";
import { startScriptedProvider } from "../../../support/scripted_provider.ts";
import { runDeno } from "../../../support/deno_process.ts";
import { startHttpServer } from "../../../support/http_server.ts";
import { AS_PROCESS, cliTest } from "../cli_world.ts";

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
  const model = { VM_API_MODEL: "cl123" };
  const init = await world.run(["permissions", "--for", "init", "--json"], { env: model });
  const { flags: more } = JSON.parse(init.stdout); // with the default host
  assertMatch(more, /--allow-net=\S*localhost:5000\S* --allow-env=\S*VM_API_MODEL/);
});

cliTest("permissions: Deno KV comes with its unstable flag", async (world) => {
  await Deno.writeTextFile(`${world.home}/kv.json`, '{"path": "/srv/vm/tokens.db"}');
  const kv = ["--backend", "kv", "--backend-options", "kv.json"];
  const script = await world.run(["permissions", ...kv]);
  assertMatch(script.stdout, /^deno run --unstable-kv --allow-read=\S*\/srv\/vm/);
  const cli = await world.run(["permissions", "--for", "cli", ...kv]);
  assertMatch(
    cli.stdout,
    /^deno install --global --no-config --force --name validmind-auth --unstable-kv --allow-read=/,
  );
});

cliTest("permissions: of a backend whose options name variables, these too", async (world) => {
  const backendOptions = { path: "/srv/${STORE_USER}/c.json" };
  const text = JSON.stringify(backendOptions);
  await Deno.writeTextFile(`${world.home}/file.json`, text);
  const settings = JSON.stringify({ backend: "file", backendOptions });
  await Deno.writeTextFile(`${world.home}/own.json`, settings, { mode: 0o600 });
  const variables = {
    VM_OIDC_DENO_CREDENTIALS_BACKEND: "file",
    VM_OIDC_DENO_CREDENTIALS_BACKEND_KWARGS: text,
  };
  const cases: [line: string, env: Record<string, string>][] = [
    ["--for cli --backend file --backend-options file.json", {}],
    ["--for cli --config own.json", {}],
    ["--for cli", variables],
    ["--for script", variables],
  ];
  const identity = ["--issuer", "https://login.example.com", "--client-id", "x"];
  for (const [line, env] of cases) {
    const { stdout, stderr } = await world.run(
      ["permissions", "--json", ...line.split(" "), ...identity],
      { env: { STORE_USER: "anna", ...env } },
    );
    assertEquals(stderr, "", line);
    assertMatch(JSON.parse(stdout).flags, /--allow-env=\S*\bSTORE_USER\b/, line);
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

/** For modules of a loopback host. */
const NO_LOCK = "--no-lock";

const STORE = `
import { END } from "../more/second.ts";
import type { Row } from "./types_alone.ts";
// import "./not_there.ts";
export class Own {
  get(): Row {
    const { VM_OIDC_ISSUER: issuer, VM_OIDC_CLIENT_ID: client_id } = Deno.env.toObject();
    return { issuer, client_id, access_token: "stored", expires_at: END };
  }
  put() {}
  delete() {}
  requiredPermissions() {
    return [{ name: "env" }];
  }
}`;

cliTest(
  "permissions: of a store by its module, the flags for its file, its imports and their hosts",
  async (world) => {
    const types = { headers: { "content-type": "application/typescript" } };
    await using host = await startHttpServer(() =>
      new Response("export const END = '2099-01-01';", types)
    );
    const vendor = new URL(
      `../../../../vendor/${host.origin.replaceAll(/:\/\/|:/g, "_")}`,
      import.meta.url,
    );
    using _ = { [Symbol.dispose]: () => Deno.removeSync(vendor, { recursive: true }) };
    for (const folder of ["own", "more"]) await Deno.mkdir(`${world.home}/${folder}`);
    const store = `${world.home}/own/store.ts`;
    const second = `${world.home}/more/second.ts`;
    await Deno.writeTextFile(store, STORE);
    const code = `
    import { createSession } from "@validmind/auth";
    console.log(await (await createSession({ interactive: false })).accessToken());`;
    const inFallback = { VM_OIDC_CREDENTIALS_BACKEND: "fallback" };
    const options = JSON.stringify({ backends: [`${store}:Own`] });
    for (
      const [text, more, chosen] of [
        ['export * from "./third.ts";', `${world.home}/more/third.ts`, {}],
        [`export * from "${host.origin}/third.ts";`, `${new URL(host.origin).host},jsr.io:443`, {}],
        ['export * from "./third.ts";', second, {
          ...inFallback,
          VM_OIDC_CREDENTIALS_BACKEND_KWARGS: options,
        }],
      ] as const
    ) {
      await Deno.writeTextFile(second, text);
      await Deno.writeTextFile(`${world.home}/more/third.ts`, "export const END = '2099-01-01';");
      const env = { VM_OIDC_CREDENTIALS_BACKEND: "./own/store.ts:Own", ...chosen };
      const { stdout, stderr } = await world.run(["permissions", "--json"], {
        env,
        flags: [...AS_PROCESS, NO_LOCK],
      });
      assertEquals(stderr, "");
      const { flags } = JSON.parse(stdout);
      for (const part of [store, second, more]) {
        assertStringIncludes(flags.replaceAll("\\", "/"), part.replaceAll("\\", "/"));
      }
      assertEquals(/types_alone|not_there/.test(flags), false, flags);
      const run = { code, env: { ...world.env, ...env }, cwd: world.home };
      assertEquals(await runDeno({ ...run, flags: [NO_LOCK, ...flags.split(" ")] }), {
        code: 0,
        stdout: "stored\n",
        stderr: "",
      });
      const denied = await runDeno({
        ...run,
        flags: [NO_LOCK, "--allow-env", `--allow-read=${store}`],
      });
      assertMatch(denied.stderr, /permission_required\].*--allow-read=\S*second\.ts/);
    }
  },
);
