// The package of npm, installed by Deno from a registry on this machine.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { walk } from "@std/fs/walk";
import { join } from "@std/path";
import { FileCredentialsBackend } from "@validmind/auth";
import { runDeno, runDenoTool } from "./support/deno_process.ts";
import { startJsrRegistry } from "./support/jsr_registry.ts";
import { startNpmRegistry } from "./support/npm_registry.ts";
import { ProviderProcess } from "./support/provider_process.ts";
import { readTarball } from "./support/read_tarball.ts";
import { tempDir } from "./support/temp_home.ts";

/** Each public module; a store of each kind that needs no server; a token, renewed, in every store. */
const PROGRAM = `
import * as vm from "npm:@validmind/auth";
import { EncryptedCredentialsBackend } from "npm:@validmind/auth/backends/encrypted";
import { FallbackCredentialsBackend } from "npm:@validmind/auth/backends/fallback";
import { HelperCredentialsBackend } from "npm:@validmind/auth/backends/helper";
import { KeychainCredentialsBackend } from "npm:@validmind/auth/backends/keychain";
import { VaultCredentialsBackend } from "npm:@validmind/auth/backends/vault";
import "npm:@validmind/auth/testing";

const [issuer = "", clientId = "", path = ""] = Deno.args;
const file: vm.OidcCredentialsBackend = new vm.FileCredentialsBackend({ path });
const [key = ""] = await Array.fromAsync(file.list!());
const signedIn = (await file.get(key))!;
const memory = () => new vm.MemoryCredentialsBackend();
const stores: Record<string, vm.OidcCredentialsBackend> = {
  memory: memory(),
  kv: new vm.KvCredentialsBackend({ path: path + ".db" }),
  encrypted: new EncryptedCredentialsBackend({ backend: memory(), key: { env: "KEY" } }),
  fallback: new FallbackCredentialsBackend({ backends: [memory()] }),
  file,
};
const names = [];
for (const [name, store] of Object.entries(stores)) {
  await store.put(key, signedIn);
  const options = { issuer, clientId, credentialsBackend: store, interactive: false };
  const session = await vm.createSession(options);
  const first = await session.accessToken();
  const second: string = await session.accessToken({ forceRefresh: true });
  if (first !== second && (await store.get(key))?.access_token === second) names.push(name);
  // A refresh token is used once.
  signedIn.refresh_token = (await store.get(key))!.refresh_token;
  signedIn.access_token = second;
  await store.close?.();
}
const others = [KeychainCredentialsBackend, VaultCredentialsBackend, HelperCredentialsBackend];
console.log(JSON.stringify([...names, ...others.map(({ name }) => name)]));
`;

/** Both packages in one process. */
const BOTH = `
import * as jsr from "jsr:@validmind/auth";
import * as npm from "npm:@validmind/auth";

const [path = ""] = Deno.args;
const stores = [jsr, npm].map((vm) => new vm.FileCredentialsBackend({ path }));
let held = 0, most = 0;
await Promise.all([...stores, ...stores].map((store) => store.withLock("k", async () => {
  most = Math.max(most, ++held);
  await new Promise((resolve) => setTimeout(resolve, 20));
  held--;
})));
await stores[0]!.put("k", { issuer: "i", client_id: "c", access_token: "t", expires_at: "2099-01-01T00:00:00Z" });
const entry = await stores[1]!.get("k");
const errors = [jsr, npm].map((vm) => {
  try {
    return new vm.FileCredentialsBackend({ path: "" });
  } catch (error) {
    return error;
  }
});
const isKnown = errors.map((error) =>
  [jsr, npm].every((vm) => error instanceof vm.CredentialsBackendError)
);
console.log(JSON.stringify({ most, token: entry?.access_token, isKnown, same: jsr.FileCredentialsBackend === npm.FileCredentialsBackend }));
`;

Deno.test("the package of npm works as a user installs it", async (t) => {
  await using npm = await startNpmRegistry();
  await using folder = await tempDir();
  type Env = Record<string, string>;
  const run = async (flags: string[], file: string, args: string[], env: Env = npm.env) =>
    await runDeno({
      file,
      args,
      flags,
      config: false,
      cwd: folder.path,
      env: { ...env, HOME: folder.path },
      timeoutMs: 300_000,
    });

  await t.step("it holds code, declarations, license and README, in less than 500 KB", async () => {
    assert((await Deno.stat(npm.tarball)).size < 500_000);
    const texts = await readTarball(await Deno.readFile(npm.tarball));
    const others = [...texts.keys()].filter((name) => !/\.(?:js|d\.ts)$/.test(name)).sort();
    assertEquals(others, ["package/LICENSE", "package/README.md", "package/package.json"]);
    const home = new URL("../", import.meta.url).href;
    for (const [name, text] of texts) {
      assert(!text.includes("sourceMappingURL") && !text.includes(home), name);
    }
    const { version } = JSON.parse(
      await Deno.readTextFile(new URL("../deno.json", import.meta.url)),
    );
    assertEquals(JSON.parse(texts.get("package/package.json")!).version, version);
  });

  await t.step("it is the code of JSR's package, module by module", async () => {
    const root = new URL("../", import.meta.url).pathname;
    const names = [];
    for (const part of ["backends", "client"]) {
      for await (const { path } of walk(join(root, part), { exts: [".ts"] })) {
        names.push(path.slice(root.length));
      }
    }
    const texts = await readTarball(await Deno.readFile(npm.tarball));
    const packed = [...texts.keys()].filter((name) =>
      /^package\/(backends|client)\/.*\.js$/.test(name)
    );
    assertEquals(
      packed.map((name) => name.slice(8, -3)).sort(),
      names.map((name) => name.slice(0, -3)).sort(),
    );
  });

  await t.step("it needs no registry but npm's", async () => {
    const { code, stdout, stderr } = await run(["-A"], "npm:@validmind/auth/cli", ["--version"], {
      ...npm.env,
      JSR_URL: "http://127.0.0.1:9/",
    });
    assertEquals(code, 0, stderr);
    assertMatch(stdout, /^validmind-auth \d/);
    const bin = await run(["-A"], "npm:@validmind/auth", ["help", "login"]);
    assertEquals(bin.code, 0, bin.stderr);
    assertStringIncludes(bin.stdout, "login");
  });

  await t.step("a stored sign-in is renewed in each store", async () => {
    await using provider = await ProviderProcess.start();
    const path = join(folder.path, "credentials.json");
    await provider.signIn(new FileCredentialsBackend({ path }));
    await Deno.writeTextFile(join(folder.path, "program.ts"), PROGRAM);
    const check = await runDenoTool(["check", "program.ts"], {
      cwd: folder.path,
      env: npm.env,
      timeoutMs: 300_000,
    });
    assertEquals(check.code, 0, check.stderr);
    const KEY = crypto.getRandomValues(new Uint8Array(32)).toHex();
    const { code, stdout, stderr } = await run(
      ["-A", "--unstable-kv"],
      "program.ts",
      [provider.issuer, provider.clientId, path],
      { ...npm.env, KEY },
    );
    assertEquals(code, 0, stderr);
    assertEquals(JSON.parse(stdout), [
      "memory",
      "kv",
      "encrypted",
      "fallback",
      "file",
      "KeychainCredentialsBackend",
      "VaultCredentialsBackend",
      "HelperCredentialsBackend",
    ]);
  });

  await t.step(
    "both packages share one store, its locks and the classes of its errors",
    async () => {
      await using jsr = await startJsrRegistry();
      await Deno.writeTextFile(join(folder.path, "both.ts"), BOTH);
      const env = { ...npm.env, JSR_URL: jsr.url };
      const path = join(folder.path, "both.json");
      const { code, stdout, stderr } = await run(["-A"], "both.ts", [path], env);
      assertEquals(code, 0, stderr);
      assertEquals(JSON.parse(stdout), { most: 1, token: "t", isKnown: [true, true], same: false });
    },
  );
});
