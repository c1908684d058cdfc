// This module on Node and Bun, installed as JSR makes it for npm.
import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { userToken } from "../../backends/vault/vault_world.ts";
import { CLIENT_SECRET, clientWorld } from "../../support/client_world.ts";
import { runProcess } from "../../support/deno_process.ts";
import { entry } from "../../support/entries.ts";
import { dpopProviderWorld } from "../../support/dpop_provider_world.ts";
import { installNpmPackage } from "../../support/npm_package.ts";
import { ProviderProcess } from "../../support/provider_process.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { serverBinary } from "../../support/servers/servers.ts";
import { startVault } from "../../support/servers/vault_server.ts";
import { tempDir } from "../../support/temp_home.ts";
import { startTrackingApi } from "../../support/tracking_api.ts";

const RUNTIMES = ["node", "bun"] as const;
type RuntimeName = typeof RUNTIMES[number];

const live = await liveTests(...RUNTIMES);
const withVault = await liveTests(...RUNTIMES, "vault");

const folder = await live.shared(() => tempDir());
await live.shared(() => installNpmPackage(folder.path));
live.afterAll(async () => await folder[Symbol.asyncDispose]());

/** Runs a program. Gives the JSON that it prints, and its standard error. */
async function run(
  name: RuntimeName,
  code: string,
  env: Record<string, string> = {},
  // deno-lint-ignore no-explicit-any -- each program prints its own
): Promise<any> {
  const file = `${folder.path}/program_${crypto.randomUUID()}.mjs`;
  await Deno.writeTextFile(file, code);
  const command = [await serverBinary(name), file];
  const home = { HOME: folder.path, USERPROFILE: folder.path };
  const { code: exit, stdout, stderr } = await runProcess(command, {
    cwd: folder.path,
    env: { ...home, NO_COLOR: "1", ...env },
    timeoutMs: 60_000,
  });
  assertEquals(exit, 0, stderr);
  return { ...JSON.parse(stdout), stderr };
}

/** Variables by which a program finds the provider, and an API that takes its tokens. */
async function startWorld() {
  await using stack = new AsyncDisposableStack();
  const provider = stack.use(await ProviderProcess.start());
  const accepts = async (token: string) => (await provider.ask(token)).isActive;
  const api = stack.use(await startTrackingApi({ accepts }));
  const env = {
    VM_OIDC_ISSUER: provider.issuer,
    VM_OIDC_CLIENT_ID: provider.clientId,
    VM_API_HOST: api.apiHost,
  };
  const started = stack.move();
  return { provider, api, env, [Symbol.asyncDispose]: () => started.disposeAsync() };
}

for (const name of RUNTIMES) {
  live.test(`${name}: every entry point can be imported`, async () => {
    const found = await run(
      name,
      `
      const found = {};
      for (const part of ["", "backends/vault", "backends/keychain", "backends/encrypted",
        "backends/fallback", "cli", "testing"]) {
        const module = await import(["@validmind/auth", part].filter(Boolean).join("/"));
        found[part || "."] = Object.keys(module).length > 0;
      }
      console.log(JSON.stringify({ found }));`,
    );
    assertEquals(new Set(Object.values(found.found)), new Set([true]));
    assertEquals([Object.keys(found.found).length, found.stderr], [7, ""]);
  });

  live.test(`${name}: a sign-in, a refresh, requests and a sign-out, in memory`, async () => {
    await using world = await startWorld();
    const { first, second, again, answer, needs, status, cleared, printed, stderr } = await run(
      name,
      `
      import * as vm from "@validmind/auth";
      import { inspect } from "node:util";
      const credentialsBackend = new vm.MemoryCredentialsBackend();
      const codes = [];
      const session = await vm.createSession({
        credentialsBackend,
        onDeviceCode: (code) => void codes.push(code.userCode),
      });
      const first = await session.accessToken();
      const second = await session.accessToken({ forceRefresh: true });
      const other = await vm.createSession({ credentialsBackend, interactive: false });
      const again = await other.accessToken() === second;
      const answer = [];
      const post = { method: "POST", headers: { "content-type": "application/json" } };
      for (const body of ['{"a":1}', new Blob(['{"a":1}'])]) {
        answer.push(await (await session.fetch("things?b=2", { ...post, body })).json());
      }
      const request = new Request(session.apiHost + "things?b=2", { ...post, body: '{"a":1}' });
      answer.push(await (await session.fetch(request)).json());
      const needs = await vm.requiredPermissions({ openBrowser: true, credentialsBackend, model: "m" });
      const { dropped, stillGranted } = await session.dropPermissions();
      const { email, signedIn } = await session.status();
      const printed = [inspect(session, { depth: 9 }), JSON.stringify(session)].join(" ");
      const cleared = await vm.clearOidcCredentials({ credentialsBackend, revoke: true });
      console.log(JSON.stringify({
        first, second, again, answer, needs: vm.formatPermissionFlags(needs), status: { email, signedIn, codes: codes.length, dropped, stillGranted: stillGranted.length > 0 }, cleared,
        printed,
      }));`,
      world.env,
    );
    assertNotEquals(first, second);
    assertEquals(again, true);
    const echo = { method: "POST", path: "things", query: { b: "2" }, body: { a: 1 } };
    assertEquals(answer, [echo, echo, echo]);
    assertEquals(status, {
      email: "analyst@example.com",
      signedIn: true,
      codes: 1,
      dropped: [],
      stillGranted: true,
    });
    assertMatch(needs, /^--allow-net=127\.0\.0\.1:\d+,127\.0\.0\.1:\d+ --allow-env=VM_OIDC_/);
    assertEquals([cleared.revocation, stderr], ["revoked", ""]);
    assertEquals([first, second].filter((token) => printed.includes(token)), []);
    assertEquals((await world.provider.ask(second)).isActive, false);
  });

  live.test(`${name}: the prompt is plain lines on standard error`, async () => {
    await using world = await startWorld();
    const { ok, stderr } = await run(
      name,
      `
      import { init } from "@validmind/auth";
      const session = await init({ model: "cl123", openBrowser: true });
      console.log(JSON.stringify({ ok: session.info.model.name }));`,
      { ...world.env, VM_OIDC_NO_PERSIST: "1" },
    );
    assertEquals(ok, "Credit Risk Model");
    const [prompt, ...rest] = stderr.split("\n");
    assertMatch(prompt, new RegExp(`^Sign in at ${world.provider.issuer}`));
    assertMatch(rest.join("\n"), /The browser was not opened: that needs Deno/);
    assertMatch(rest.join("\n"), /^Signed in as analyst@example\.com/m);
    assert(!stderr.includes("\x1b"), stderr);
  });

  live.test(`${name}: a closed standard error costs the line, and not the program`, async () => {
    const file = `${folder.path}/closed.mjs`;
    await Deno.writeTextFile(
      file,
      `
      import { CredentialsBackendError, MemoryCredentialsBackend } from "@validmind/auth";
      import { FallbackCredentialsBackend } from "@validmind/auth/backends/fallback";
      const full = new MemoryCredentialsBackend();
      full.get = () => {
        throw new CredentialsBackendError("backend_unavailable", "Cannot read: away. Wait.");
      };
      const backends = [full, new MemoryCredentialsBackend()];
      const entry = ${JSON.stringify(entry())};
      process.stdin.once("data", async () => {
        await new FallbackCredentialsBackend({ backends }).put("key", entry);
        setTimeout(() => console.log("alive"), 100); // the fault of standard error comes later
        process.stdin.unref();
      });`,
    );
    const child = new Deno.Command(await serverBinary(name), {
      args: [file],
      cwd: folder.path,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    await child.stderr.cancel();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode("go\n"));
    await writer.close();
    assertEquals(await new Response(child.stdout).text(), "alive\n");
    assertEquals((await child.status).code, 0);
  });

  live.test(`${name}: an API key signs in, and a refused API token is renewed`, async () => {
    await using world = await startWorld();
    world.api.reject(1);
    const { key, renewed } = await run(
      name,
      `
      import * as vm from "@validmind/auth";
      const credentialsBackend = new vm.MemoryCredentialsBackend();
      const session = await vm.createSession({ credentialsBackend, onDeviceCode() {} });
      const renewed = await session.get("things");
      for (const name of ["VM_OIDC_ISSUER", "VM_OIDC_CLIENT_ID"]) delete process.env[name];
      Object.assign(process.env, { VM_API_KEY: "test-api-key", VM_API_SECRET: "test-api-secret" });
      const byKey = await vm.init({ model: "cl123" });
      const key = (await byKey.status()).kind;
      console.log(JSON.stringify({ key, renewed }));`,
      world.env,
    );
    assertEquals(key, "api_key");
    assertEquals(renewed.path, "things");
  });

  live.test(`${name}: tokens bound to a key are refreshed, and sent with proofs that the provider checks`, async () => {
    await using world = await dpopProviderWorld();
    const { provider } = world;
    provider.autoApprove = true;
    const { isOther, statuses, dpop } = await run(
      name,
      `
      import { createSession, MemoryCredentialsBackend } from "@validmind/auth";
      const credentialsBackend = new MemoryCredentialsBackend();
      const options = { credentialsBackend, dpop: true, apiHost: process.env.VM_OIDC_ISSUER + "/" };
      const session = await createSession({ ...options, onDeviceCode() {} });
      const first = await session.accessToken();
      const statuses = [(await session.fetch("me")).status];
      const second = await session.accessToken({ forceRefresh: true });
      const other = await createSession({ ...options, interactive: false });
      for (const one of [session, other]) statuses.push((await one.fetch("me")).status);
      const { dpop } = await other.status();
      console.log(JSON.stringify({ isOther: first !== second, statuses, dpop }));`,
      { VM_OIDC_ISSUER: provider.issuer, VM_OIDC_CLIENT_ID: provider.clientId },
    );
    assertEquals({ isOther, statuses, dpop }, {
      isOther: true,
      statuses: [200, 200, 200],
      dpop: true,
    });
  });

  live.test(`${name}: encrypted over memory signs in, refreshes and starts again`, async () => {
    await using world = await startWorld();
    const { isOther, again, sealed } = await run(
      name,
      `
      import { createSession, MemoryCredentialsBackend } from "@validmind/auth";
      import { EncryptedCredentialsBackend } from "@validmind/auth/backends/encrypted";
      const backend = new MemoryCredentialsBackend();
      const options = { onDeviceCode() {} };
      const key = { env: "TOKENS_KEY" };
      const session = await createSession({
        ...options,
        credentialsBackend: new EncryptedCredentialsBackend({ backend, key }),
      });
      const first = await session.accessToken();
      const second = await session.accessToken({ forceRefresh: true });
      const other = await createSession({
        interactive: false,
        credentialsBackend: new EncryptedCredentialsBackend({ backend, key }),
      });
      const again = await other.accessToken() === second;
      const rows = (await Array.fromAsync(backend.list())).map((key) => backend.get(key));
      const sealed = rows.map((row) => row.access_token).join("");
      console.log(JSON.stringify({ isOther: first !== second, again, sealed }));`,
      { ...world.env, TOKENS_KEY: crypto.getRandomValues(new Uint8Array(32)).toHex() },
    );
    assertEquals({ isOther, again, sealed }, { isOther: true, again: true, sealed: "" });
  });

  live.test(`${name}: all else is refused before any work, with what to use instead`, async () => {
    await Deno.writeTextFile(`${folder.path}/ca.pem`, "");
    const { refused } = await run(
      name,
      `
      import * as vm from "@validmind/auth";
      import { KeychainCredentialsBackend } from "@validmind/auth/backends/keychain";
      import { VaultCredentialsBackend } from "@validmind/auth/backends/vault";
      import { runCli } from "@validmind/auth/cli";
      import { testCredentialsBackend } from "@validmind/auth/testing";
      const identity = {
        issuer: "https://login.example.com",
        clientId: "my-app",
        fetch() { throw new Error("work was done"); },
      };
      const memory = { ...identity, credentialsBackend: new vm.MemoryCredentialsBackend() };
      const calls = {
        default: () => vm.createSession(identity),
        init: () => vm.init({ ...identity, model: "cl123" }),
        file: () => new vm.FileCredentialsBackend({ path: "/nonexistent/c.json" }),
        kv: () => new vm.KvCredentialsBackend(),
        keychain: () => new KeychainCredentialsBackend(),
        browser: () => vm.createSession({ ...memory, flow: "browser" }),
        relative: async () => {
          process.env.VM_OIDC_CREDENTIALS_BACKEND = "./store.mjs:Store";
          await vm.createSession(identity);
        },
        caCert: async () => {
          const options = { path: "a", address: "https://vault.example.com", caCert: "ca.pem" };
          await new VaultCredentialsBackend({ ...options, auth: { method: "token", token: "t" } })
            .get("key");
        },
        cli: () => runCli(["status"]),
        testing: () => testCredentialsBackend("memory", () => memory.credentialsBackend),
      };
      const refused = {};
      for (const [name, call] of Object.entries(calls)) {
        try {
          await call();
          refused[name] = "not refused";
        } catch (error) {
          refused[name] = error.code + " " + error.message;
          if (error.code === undefined) console.error(error);
        }
      }
      console.log(JSON.stringify({ refused }));`,
    );
    const needs = /^(runtime|flow)_unsupported Cannot .+: it needs Deno\. \w.+\.$/;
    for (const message of Object.values<string>(refused)) assertMatch(message, needs);
    const words = Object.entries({
      default: "MemoryCredentialsBackend (or set VM_OIDC_NO_PERSIST=1)",
      browser: 'Set flow: "device"',
      relative: "Name its whole path",
    });
    for (const [call, advice] of words) assert(refused[call].includes(advice), refused[call]);
  });

  live.test(`${name}: a client signs in by its secret, and fallback keeps its token`, async () => {
    await using world = await clientWorld();
    const { flow, again } = await run(
      name,
      `
      import { createSession, MemoryCredentialsBackend } from "@validmind/auth";
      import { FallbackCredentialsBackend } from "@validmind/auth/backends/fallback";
      const backends = [new MemoryCredentialsBackend(), new MemoryCredentialsBackend()];
      const credentialsBackend = new FallbackCredentialsBackend({ backends });
      const session = await createSession({ credentialsBackend });
      const token = await session.accessToken();
      const other = await createSession({ credentialsBackend });
      const again = await other.accessToken() === token;
      console.log(JSON.stringify({ flow: (await session.status()).flow, again }));`,
      {
        VM_OIDC_ISSUER: world.provider.issuer,
        VM_OIDC_CLIENT_ID: world.provider.clientId,
        VM_OIDC_CLIENT_SECRET: CLIENT_SECRET,
        VM_OIDC_FLOW: "client_credentials",
      },
    );
    assertEquals({ flow, again }, { flow: "client_credentials", again: true });
  });

  withVault.test(`${name}: Vault keeps a sign-in for the next start`, async () => {
    await using world = await startWorld();
    await using vault = await startVault();
    const token = await userToken(vault, "anna");
    const { isOther, again, keys } = await run(
      name,
      `
      import { createSession } from "@validmind/auth";
      import { VaultCredentialsBackend } from "@validmind/auth/backends/vault";
      const store = () => new VaultCredentialsBackend({ path: "users/anna" });
      const session = await createSession({ credentialsBackend: store(), onDeviceCode() {} });
      const first = await session.accessToken();
      const second = await session.accessToken({ forceRefresh: true });
      const next = store();
      const other = await createSession({ credentialsBackend: next, interactive: false });
      const again = await other.accessToken() === second;
      const keys = await Array.fromAsync(next.list());
      await other.clear();
      console.log(JSON.stringify({ isOther: first !== second, again, keys: keys.length }));`,
      { ...world.env, VAULT_ADDR: vault.url, VAULT_TOKEN: token },
    );
    assertEquals({ isOther, again, keys }, { isOther: true, again: true, keys: 1 });
  });
}
