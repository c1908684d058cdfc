// What a user's script does as a bundle of `deno bundle`: the same as from modules.
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { BACKEND_VARIABLES, HOME_VARIABLE } from "../../backends/common/platform.ts";
import { cliWorld } from "../client/cli/cli_world.ts";
import { backendUrl, findDenoDir, runDeno, startDeno } from "../support/deno_process.ts";
import { startJsrRegistry } from "../support/jsr_registry.ts";
import { shareFolder } from "../support/share_folder.ts";
import { tempDir } from "../support/temp_home.ts";
import { startTrackingApi } from "../support/tracking_api.ts";
import { bundle, type Form, FORMS, PROGRAM, runCommand } from "./bundles/bundle_world.ts";

const folder = await tempDir();
Deno.test.afterAll(async () => await folder[Symbol.asyncDispose]());

/** The program in each form, made at its first use. */
const made = new Map<Form, Promise<string>>();
function bundled(form: Form): Promise<string> {
  const path = made.get(form) ?? bundle(PROGRAM, `${folder.path}/${form}`, form);
  made.set(form, path);
  return path;
}

const UNSTABLE = ["-A", "--unstable-kv"];
const NO_CACHE = ["--no-remote", "--no-npm"];
/** The variables that a stored start reads. */
const VARIABLES = [HOME_VARIABLE, ...Object.values(BACKEND_VARIABLES)];
const NO_PROVIDER = { HOME: folder.path, NO_COLOR: "1" };

/** The results of the program as modules, which every form is compared with. */
const results = new Map<string, Promise<unknown>>();
function asModules(args: string[], env: Record<string, string>): Promise<unknown> {
  const id = JSON.stringify([args, env]);
  const result = results.get(id) ??
    runCommand(PROGRAM, args, { env, flags: UNSTABLE, cwd: folder.path });
  results.set(id, result);
  return result;
}

/** Backends of somebody else's, with another copy of this module's error. */
const THEIRS = `
  import { CredentialsBackendError } from ${
  JSON.stringify(backendUrl("credentials_backend_error.ts"))
};
  export class Full {
    get() { throw new CredentialsBackendError("backend_full", "Cannot read: full. Free some."); }
    put() {}
    delete() {}
  }`;
const STORE = `
  export class Theirs {
    location = "theirs";
    #rows = new Map();
    get(key) { return this.#rows.get(key); }
    put(key, entry) { this.#rows.set(key, entry); }
    delete(key) { this.#rows.delete(key); }
    async *list() { yield* this.#rows.keys(); }
    withLock(key, fn) { return fn(); }
  }`;
const theirs = `${folder.path}/theirs.js`;
const store = `${folder.path}/store.js`;
await Promise.all([Deno.writeTextFile(theirs, THEIRS), Deno.writeTextFile(store, STORE)]);

for (const form of Object.keys(FORMS) as Form[]) {
  const test = (name: string, fn: (file: string) => Promise<void>) =>
    Deno.test(`a bundle (${form}): ${name}`, async () => fn(await bundled(form)));

  test("names, messages and permissions are those of modules", async (file) => {
    const oidc = { VM_OIDC_ISSUER: "https://login.example.com", VM_OIDC_CLIENT_ID: "my-app" };
    const own = await runCommand(file, ["words"], { env: { ...NO_PROVIDER, ...oidc } });
    assertEquals(own, await asModules(["words"], { ...NO_PROVIDER, ...oidc }));
    assertStringIncludes(JSON.stringify(own), '"KeychainCredentialsBackend"');
  });

  test("every store keeps, locks and lists", async (file) => {
    await using one = await tempDir();
    const env = NO_PROVIDER;
    const own = await runCommand(file, ["stores", "."], { env, cwd: one.path });
    assertEquals(own, await asModules(["stores", "."], env));
    assertEquals(JSON.stringify(own).match(/"got":"a"/g)?.length, 6);
  });

  test("sign-in, stored start, refresh, request and sign-out", async (file) => {
    await using world = await cliWorld();
    await using api = await startTrackingApi({
      accepts: (token) => world.provider.isActive(token),
    });
    const env = { ...world.env, VM_API_HOST: api.apiHost, NO_COLOR: "1" };
    const run = (...args: string[]) => runCommand(file, args, { env });
    assertEquals(await run("signIn"), true);
    assertEquals(await run("refresh"), true);
    assertEquals(await run("request"), [true, "cl123"]);
    assertEquals(await run("show"), await runCommand(PROGRAM, ["show"], { env }));
    assertMatch(JSON.stringify(await run("show")), /"name":"FileCredentialsBackend"/);
    assertEquals(await run("signOut"), "revoked");
    assertEquals(world.backend.get(world.key), undefined);
  });

  test("a stored start takes the permissions of modules, and no cache", async (file) => {
    await using world = await cliWorld();
    await world.signIn();
    const { issuer, clientId } = world.provider;
    await using empty = await tempDir();
    const started = await runCommand(file, ["start", issuer, clientId], {
      flags: [...NO_CACHE, `--allow-env=${VARIABLES}`, `--allow-read=${world.home}/.validmind`],
      config: false,
      cwd: empty.path,
      env: { HOME: world.home, DENO_DIR: empty.path },
    });
    assertEquals(started, true);
  });

  test("a sign-in in the browser", async (file) => {
    await using world = await cliWorld();
    await using child = startDeno({
      file,
      args: ["browser"],
      flags: ["-A"],
      cwd: world.home,
      env: world.env,
    });
    assertEquals(
      (await world.provider.follow(await child.line())).title,
      "Your answer has arrived",
    );
    assertEquals(await child.line(), "true");
  });

  test("stores that the environment names", async (file) => {
    const settings = JSON.stringify([
      ["file", {}],
      ["memory", {}],
      ["kv", {}],
      ["encrypted", { backend: "memory", key: { backend: "memory" } }],
      ["fallback", { backends: ["memory", "kv"] }],
    ]);
    const own = await runCommand(file, ["environments", settings], { env: NO_PROVIDER });
    assertEquals(own, await asModules(["environments", settings], NO_PROVIDER));
    assertEquals((own as { known: boolean }[]).map(({ known }) => known), Array(5).fill(true));
  });

  test("a module that the environment names", async (file) => {
    const env = { ...NO_PROVIDER, VM_OIDC_CREDENTIALS_BACKEND: `${store}:Theirs` };
    const expected = { got: "a", keys: ["https://login.example.com|my-app"], gone: true };
    assertEquals(await runCommand(file, ["environment"], { env, flags: UNSTABLE }), {
      ...expected,
      name: "Theirs",
      location: "theirs",
      known: false,
    });
  });

  test("an error of another copy of this module keeps its class and code", async (file) => {
    const env = { ...NO_PROVIDER, VM_OIDC_CREDENTIALS_BACKEND: `${theirs}:Full` };
    const [code, message] = await runCommand(file, ["foreignError"], { env }) as string[];
    assertEquals([code, message], ["backend_full", "Cannot read: full. Free some."]);
  });

  test("the keychain's library is found in Deno's cache, and only it is outside", async (file) => {
    const env = { ...NO_PROVIDER, DBUS_SESSION_BUS_ADDRESS: "unix:path=/nowhere" };
    const own = await runCommand(file, ["keychain"], { env });
    assertEquals(own, await asModules(["keychain"], env));
  });

  test("the command line runs where the script calls it, and not before", async (file) => {
    const { code, stdout } = await runDeno({ file, args: ["cli", "--version"], flags: ["-A"] });
    assertEquals(code, 0);
    assertMatch(stdout, /^validmind-auth [\d.]+.*\n0\n$/s);
  });
}

Deno.test("a bundle with --keep-names keeps the names of the script's own classes in errors", async () => {
  const file = await bundled("minified, with names");
  const [code, message] = await runCommand(file, ["ownClass"], { env: NO_PROVIDER }) as string[];
  assertEquals(code, "backend_unavailable");
  assertStringIncludes(message!, "Throwing (nowhere): it threw TypeError, whose text is left out");
});

Deno.test("a script that imports from JSR is one file as a bundle, which needs neither JSR, npm nor a cache", async () => {
  await using world = await cliWorld();
  await using one = await tempDir();
  const script = `${one.path}/script.ts`;
  const text = await Deno.readTextFile(PROGRAM);
  const asUser = text.replaceAll(/from "@validmind\/auth/g, 'from "jsr:@validmind/auth');
  await Deno.writeTextFile(script, asUser);
  const file = await bundleFromJsr(script, `${one.path}/out`);
  await Deno.mkdir(`${one.path}/cache`);
  const alone = {
    flags: [...NO_CACHE, "-A"],
    config: false,
    cwd: one.path,
    env: { ...world.env, DENO_DIR: `${one.path}/cache`, NO_COLOR: "1" },
  };
  assertEquals(await runCommand(file, ["signIn"], alone), true);
  assertEquals(await runCommand(file, ["refresh"], alone), true);
  assertEquals(await runCommand(file, ["signOut"], alone), "revoked");
  assertEquals(Array.from(Deno.readDirSync(`${one.path}/out`), ({ name }) => name), ["script.js"]);
});

async function bundleFromJsr(script: string, folder: string): Promise<string> {
  await using registry = await startJsrRegistry();
  await bundled("minified"); // has fetched the bundler
  await shareFolder(`${findDenoDir()}/dl`, `${registry.env.DENO_DIR}/dl`);
  return await bundle(script, folder, "minified", {
    config: ["--no-config"],
    env: registry.env,
  });
}
