import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { walk } from "@std/fs/walk";
import { fromFileUrl, join, relative } from "@std/path";
import { createSession, FileCredentialsBackend } from "@validmind/auth";
import { type JsrRegistry, startJsrRegistry } from "./support/jsr_registry.ts";
import { startScriptedProvider } from "./support/scripted_provider.ts";
import { tempDir } from "./support/temp_home.ts";
import { denoInfo, runDeno, runDenoTool } from "./support/deno_process.ts";

const ROOT = fromFileUrl(new URL("../", import.meta.url));

/** Names the keychain's library. */
const SCRIPT = `import { loadBackendFromEnv } from "jsr:@validmind/auth";
const needs = (await loadBackendFromEnv())!.requiredPermissions!();
console.log(JSON.stringify(needs.filter(({ name }) => name === "ffi")));
`;

Deno.test("the package works as a user imports it", async (t) => {
  await using registry = await startJsrRegistry();
  await t.step("it holds the sources, and no other code", async () => {
    const files = await publishedFiles(registry);
    assertEquals(files.filter((file) => /\.[cm]?[jt]sx?$/.test(file)), await sourceFiles());
  });

  await t.step("the keychain backend finds its library", async () => {
    await using folder = await tempDir();
    await Deno.writeTextFile(join(folder.path, "script.ts"), SCRIPT);
    const { code, stdout, stderr } = await runDeno({
      file: "script.ts",
      flags: [`--allow-read=${folder.path}`, "--allow-net=127.0.0.1", "--allow-env"],
      config: false,
      cwd: folder.path,
      env: { ...registry.env, HOME: folder.path, VM_OIDC_CREDENTIALS_BACKEND: "keychain" },
      timeoutMs: 300_000,
    });
    assertEquals(code, 0, stderr);
    const [{ path }, ...others] = JSON.parse(stdout) as [{ path: string }];
    assertEquals(others, []);
    assert((await Deno.stat(path)).isFile);
    assertStringIncludes(path, "@napi-rs");
  });
});

Deno.test("where npm does not answer, a sign-in names registries and variables before a person is asked", async () => {
  await using registry = await startJsrRegistry();
  await using folder = await tempDir();
  const { code, stdout, stderr } = await runDeno({
    code: `import { createSession, MemoryCredentialsBackend } from "jsr:@validmind/auth";
      const credentialsBackend = new MemoryCredentialsBackend();
      const identity = { issuer: "https://login.example.com", clientId: "my-app" };
      const onDeviceCode = () => console.log("asked");
      await createSession({ ...identity, credentialsBackend, onDeviceCode })
        .catch(({ code, message }) => console.log(code, message));`,
    flags: ["-A"],
    config: false,
    env: {
      JSR_URL: registry.url,
      DENO_DIR: folder.path,
      NPM_CONFIG_REGISTRY: "http://127.0.0.1:9/",
    },
    timeoutMs: 300_000,
  });
  assertEquals(code, 0, stderr);
  assertMatch(stdout, /^package_missing Cannot load .*oauth4webapi.*npm:@validmind\/auth/);
});

/** A start that refreshes. */
const REFRESH = `import { createSession } from "jsr:@validmind/auth";
const [issuer, clientId] = Deno.args;
await createSession({ issuer, clientId, interactive: false });
`;

Deno.test("with lazy-dynamic-imports a refresh has its code before it sends the grant, and needs only a cache", async () => {
  await using registry = await startJsrRegistry();
  await using provider = await startScriptedProvider({ interval: 0.05 });
  await using home = await tempDir();
  provider.autoApprove = true;
  const { issuer, clientId } = provider;
  const path = join(home.path, ".validmind", "credentials.json");
  const credentialsBackend = new FileCredentialsBackend({ path });
  await createSession({ issuer, clientId, credentialsBackend, onDeviceCode() {} });
  const [key = ""] = await Array.fromAsync(credentialsBackend.list());
  const file = join(home.path, "refresh.ts");
  await Deno.writeTextFile(file, REFRESH);
  const env = { ...registry.env, HOME: home.path, DENO_UNSTABLE_LAZY_DYNAMIC_IMPORTS: "1" };
  const refresh = async (flags: readonly string[]) => {
    await credentialsBackend.put(key, {
      ...credentialsBackend.get(key)!,
      expires_at: "2020-01-01T00:00:00Z",
    });
    let before = 0;
    provider.script.token.push(() => void (before = registry.requests.length));
    const args = [issuer, clientId];
    const { code, stderr } = await runDeno({ file, flags, args, config: false, env });
    assertEquals(code, 0, stderr);
    return before;
  };
  const before = await refresh(["-A"]);
  assert(registry.requests.some((one) => one.endsWith("/refresh_grant.ts")));
  assert(!registry.requests.some((one) => one.endsWith("/dialog.ts")), "all was loaded at once");
  assertEquals(registry.requests.slice(before), []);

  const { code, stderr } = await runDenoTool(["cache", "--no-config", file], { env });
  assertEquals(code, 0, stderr);
  const cached = registry.requests.length;
  assert(registry.requests.some((one) => one.endsWith("/dialog.ts")));
  assertEquals(await refresh(["-A", "--cached-only"]), cached);
});

Deno.test("deno publish finds no slow types", async () => {
  const args = ["publish", "--dry-run", "--allow-dirty", "--no-check"];
  const env = { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" };
  const { code, stderr: text } = await runDenoTool(args, { cwd: ROOT, env, timeoutMs: 300_000 });
  assertEquals(code, 0, text);
  assertStringIncludes(text, "Checking for slow types");
  // A backend that the environment names is imported by a name that nobody knows before; the
  // keychain's library is found by one that depends on the platform, and
  // oauth4webapi is loaded by its file.
  assertEquals(text.match(/^(warning|error)\[.*?\]/gm), [
    "warning[unanalyzable-dynamic-import]",
    "warning[unanalyzable-dynamic-import]",
    "warning[unanalyzable-dynamic-import]",
  ]);
});

/** `deno check` passes over an `import()` of what is not there: it may be there when it is run. */
Deno.test("every import() leads to a module", async () => {
  const { exports } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
  for (const entry of Object.values<string>(exports)) {
    const { modules } = await denoInfo<{ modules: { specifier: string; error?: string }[] }>([
      join(ROOT, entry),
    ]);
    assertEquals(modules.filter(({ error }) => error !== undefined), [], entry);
  }
});

async function publishedFiles(registry: JsrRegistry): Promise<string[]> {
  const { latest } = await (await fetch(`${registry.url}/@validmind/auth/meta.json`)).json();
  const meta = await fetch(`${registry.url}/@validmind/auth/${latest}_meta.json`);
  return Object.keys((await meta.json()).manifest).sort();
}

async function sourceFiles(): Promise<string[]> {
  const files = ["/mod.ts"];
  for (const folder of ["backends", "client"]) {
    for await (const { path } of walk(join(ROOT, folder), { exts: [".ts"], includeDirs: false })) {
      files.push(`/${relative(ROOT, path).replaceAll("\\", "/")}`);
    }
  }
  return files.sort();
}
