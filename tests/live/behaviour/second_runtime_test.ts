// This module on Node and Bun, installed as JSR makes it for npm.
import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { copy } from "@std/fs";
import { runProcess } from "../../support/deno_process.ts";
import { installNpmPackage } from "./npm_package.ts";
import { ProviderProcess } from "../../support/provider_process.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { serverBinary, serverPath } from "../../support/servers/servers.ts";
import { tempDir } from "../../support/temp_home.ts";
import { startTrackingApi } from "../../support/tracking_api.ts";

const RUNTIMES = ["node", "bun"] as const;
type RuntimeName = typeof RUNTIMES[number];

const live = await liveTests(...RUNTIMES, "typescript");

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

for (const name of RUNTIMES) {
  live.test(`${name}: a sign-in, a refresh, requests and a sign-out, in memory`, async () => {
    await using provider = await ProviderProcess.start();
    const accepts = async (token: string) => (await provider.ask(token)).isActive;
    await using api = await startTrackingApi({ accepts });
    const env = {
      VM_OIDC_ISSUER: provider.issuer,
      VM_OIDC_CLIENT_ID: provider.clientId,
      VM_API_HOST: api.apiHost,
    };
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
      env,
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
    assertEquals((await provider.ask(second)).isActive, false);
  });

  live.test(`${name}: all else is refused before any work, with what to use instead`, async () => {
    await Deno.writeTextFile(`${folder.path}/ca.pem`, "");
    const { refused } = await run(
      name,
      `
      import * as vm from "@validmind/auth";
      import "@validmind/auth/backends/encrypted";
      import "@validmind/auth/backends/fallback";
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
        init: () => vm.init({ ...identity, apiHost: "https://api.example.com/", model: "cl123" }),
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
}

/** Uses each entry point, as TypeScript reads it. An expected error that does not come is one: `any` would take all. */
const PROGRAM = `
import * as vm from "@validmind/auth";
import { EncryptedCredentialsBackend } from "@validmind/auth/backends/encrypted";
import { FallbackCredentialsBackend } from "@validmind/auth/backends/fallback";
import { KeychainCredentialsBackend } from "@validmind/auth/backends/keychain";
import { VaultCredentialsBackend } from "@validmind/auth/backends/vault";
import { runCli } from "@validmind/auth/cli";
import { testCredentialsBackend } from "@validmind/auth/testing";

const memory: vm.OidcCredentialsBackend = new vm.MemoryCredentialsBackend();
const vault = new VaultCredentialsBackend({ path: "users/anna" });
const backends = [vault, memory, new KeychainCredentialsBackend()];
const backend = new FallbackCredentialsBackend({ backends });
const credentialsBackend = new EncryptedCredentialsBackend({ backend, key: { env: "KEY" } });
const session = await vm.createSession({ issuer: "https://a.example", credentialsBackend });
const token: string = await session.accessToken();
const code: Promise<number> = runCli(["status", token]);
testCredentialsBackend("memory", () => memory, { permissions: "none" });

// @ts-expect-error -- an issuer is text
await vm.createSession({ issuer: 5 });
// @ts-expect-error -- a token is text
const wrong: number = await session.accessToken();
// @ts-expect-error -- a store has three methods
const store: vm.OidcCredentialsBackend = {};
// @ts-expect-error -- a key has a source
new EncryptedCredentialsBackend({ backend, key: 5 });
// @ts-expect-error -- a path is text
new VaultCredentialsBackend({ path: 5 });
// @ts-expect-error -- arguments are a list
await runCli("status");
`;

/** Checks the program by the declarations. Gives the exit code, and what TypeScript complains of. */
async function check(...flags: string[]): Promise<{ code: number; complaints: string[] }> {
  const packages = await serverPath("typescript");
  for (const name of ["@types", "undici-types"]) {
    await copy(`${packages}/${name}`, `${folder.path}/node_modules/${name}`, { overwrite: true });
  }
  await Deno.writeTextFile(`${folder.path}/program.mts`, PROGRAM);
  const compiler = `${await serverBinary("typescript")}/typescript/bin/tsc`;
  const args = ["--noEmit", "--strict", "--module", "nodenext", ...flags, "program.mts"];
  const command = [await serverBinary("node"), compiler, ...args];
  const { code, stdout, stderr } = await runProcess(command, {
    cwd: folder.path,
    timeoutMs: 300_000,
  });
  return { code, complaints: (stdout + stderr).split("\n").filter((line) => line !== "") };
}

live.test("TypeScript checks a program for Node by the declarations, with skipLibCheck", async () => {
  const flags = ["--lib", "esnext", "--types", "node", "--skipLibCheck"];
  assertEquals(await check(...flags), { code: 0, complaints: [] });
});

live.test("with dom and @types/deno the declarations themselves are checked", async () => {
  const flags = ["--lib", "esnext,dom", "--types", "node,deno"];
  assertEquals(await check(...flags), { code: 0, complaints: [] });
});
