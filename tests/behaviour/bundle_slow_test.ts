// What a user's script does as a bundle of `deno bundle`, and as a program of `deno compile`: the same as from modules.
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { dirname, fromFileUrl } from "@std/path";
import { cliWorld } from "../client/cli/cli_world.ts";
import { pageFences } from "../readme_reader.ts";
import { backendUrl, DENO, findDenoDir, mustRun, runDeno } from "../support/deno_process.ts";
import { type RunDenoOptions, runProcess } from "../support/deno_process.ts";
import { startJsrRegistry } from "../support/jsr_registry.ts";
import { shareFolder } from "../support/share_folder.ts";
import { tempDir } from "../support/temp_home.ts";
import { testWith } from "../support/test_with.ts";
import { startTrackingApi } from "../support/tracking_api.ts";

const PROGRAM = fromFileUrl(new URL("bundle_program.ts", import.meta.url));
const CONFIG = fromFileUrl(new URL("../../deno.json", import.meta.url));
const folder = await tempDir();
Deno.test.afterAll(async () => await folder[Symbol.asyncDispose]());

/** Bundles a script into a folder, by the import map of this repository where no other is given. */
async function bundle(
  script: string,
  out: string,
  { flags = [] as string[], config = ["--config", CONFIG], env = {} } = {},
): Promise<string> {
  const args = [...config, "--minify", ...flags, "--outdir", out, script];
  // Deno fetches the bundler from npm at its first use, by the settings of this process.
  const options = { env, inheritEnv: true, timeoutMs: 120_000 };
  await mustRun([DENO, "bundle", "--quiet", ...args], options);
  return `${out}/${script.replace(/^.*[/\\]/, "").replace(/ts$/, "js")}`;
}

/** Runs a command of the program, bundled or not. Gives the JSON that it printed last. */
async function runCommand(
  file: string,
  args: string[],
  options: Pick<RunDenoOptions, "env" | "flags" | "config" | "cwd"> = {},
): Promise<unknown> {
  const { stdout, stderr } = await runDeno({
    flags: ["-A", "--unstable-kv"],
    ...options,
    file,
    args,
  });
  const line = stdout.trimEnd().split("\n").at(-1);
  if (!line) throw new Error(`The program printed nothing: ${stderr}`);
  return JSON.parse(line);
}

const NO_CACHE = ["--no-remote", "--no-npm"];
const ENV = {
  HOME: folder.path,
  NO_COLOR: "1",
  DBUS_SESSION_BUS_ADDRESS: "unix:path=/nowhere",
  VM_OIDC_ISSUER: "https://login.example.com",
  VM_OIDC_CLIENT_ID: "my-app",
};

/** Backends of somebody else's, with another copy of this module's error. */
const theirs = `${folder.path}/theirs.js`;
await Deno.writeTextFile(
  theirs,
  `import { CredentialsBackendError } from "${backendUrl("credentials_backend_error.ts")}";
  export class Full {
    get() { throw new CredentialsBackendError("backend_full", { action: "read", reason: "full", remedy: "Free some." }); }
    put() {}
    delete() {}
  }
  export class Theirs {
    location = "theirs";
    #rows = new Map();
    get(key) { return this.#rows.get(key); }
    put(key, entry) { this.#rows.set(key, entry); }
    delete(key) { this.#rows.delete(key); }
  }`,
);

const SETTINGS = JSON.stringify([
  ...["file", "memory", "kv"].map((name) => [name, {}]),
  ["encrypted", { backend: "memory", key: { backend: "memory" } }],
  ["fallback", { backends: ["memory", "kv"] }],
  [`${theirs}:Theirs`],
  [`${theirs}:Full`],
]);

/** Commands whose results are those of modules, and a piece of each. */
const SAME: [args: string[], piece: string][] = [
  [["words"], '"CredentialsBackendError [backend_denied]"'],
  [["stores", SETTINGS], '["backend_full","Cannot read: full. Free some."]'],
];

for (const [form, flags] of [["one file", []], ["split", ["--code-splitting"]]] as const) {
  Deno.test(`a minified bundle (${form}) does what modules do`, async () => {
    const file = await bundle(PROGRAM, `${folder.path}/${form}`, { flags: [...flags] });
    for (const [args, piece] of SAME) {
      await using one = await tempDir();
      const options = { env: ENV, cwd: one.path };
      const own = await runCommand(file, args, options);
      assertEquals(own, await runCommand(PROGRAM, args, options));
      assertStringIncludes(JSON.stringify(own), piece);
    }
    await using world = await cliWorld();
    const accepts = (token: string) => world.provider.isActive(token);
    await using api = await startTrackingApi({ accepts });
    const env = { ...world.env, VM_API_HOST: api.apiHost, NO_COLOR: "1" };
    assertEquals(await runCommand(file, ["signIn"], { env }), true);
    await using empty = await tempDir();
    const cached = [...NO_CACHE, "--allow-env", "--allow-net", `--allow-read=${world.home}`];
    const alone = { flags: cached, config: false, cwd: empty.path };
    const bare = { ...alone, env: { ...env, DENO_DIR: empty.path } };
    const shown = await runCommand(file, ["start"], bare);
    assertEquals(shown, await runCommand(PROGRAM, ["start"], { env }));
    assertMatch(JSON.stringify(shown), /"name":"FileCredentialsBackend"/);
    assertEquals(await runCommand(file, ["signOut"], { env }), "revoked");
    assertEquals(world.backend.get(world.key), undefined);
    // The command line runs where the script calls it, and not before.
    const { code, stdout } = await runDeno({ file, args: ["cli", "--version"], flags: ["-A"] });
    assertEquals(code, 0);
    assertMatch(stdout, /^validmind-auth [\d.]+.*\n0\n$/s);
  });
}

const test = testWith({ ignore: Deno.build.os === "windows" }); // the page has a POSIX shell
test("a script that imports from JSR is one file as a bundle, which needs neither JSR, npm nor a cache", async () => {
  await using world = await cliWorld();
  await using one = await tempDir();
  const script = `${one.path}/script.ts`;
  const text = await Deno.readTextFile(PROGRAM);
  const asUser = text.replaceAll(/from "@validmind\/auth/g, 'from "jsr:@validmind/auth');
  await Deno.writeTextFile(script, asUser);
  await using registry = await startJsrRegistry();
  await bundle(PROGRAM, `${folder.path}/first`); // has fetched the bundler
  await shareFolder(`${findDenoDir()}/dl`, `${registry.env.DENO_DIR}/dl`);
  const fences = await pageFences("client/README.md");
  const isBundle = ({ text }: { text: string }) => text.startsWith("deno bundle ");
  const { text: commands } = fences.find(isBundle)!;
  const PATH = `${dirname(DENO)}:${Deno.env.get("PATH")}`;
  const typed = { env: { ...world.env, ...registry.env, PATH }, cwd: one.path, inheritEnv: true };
  await mustRun(["sh", "-ec", commands], { ...typed, timeoutMs: 120_000 });
  const made = Array.from(Deno.readDirSync(one.path), ({ name }) => name);
  assertEquals(made.sort(), ["script.min.js", "script.ts"]);
  await Deno.mkdir(`${one.path}/cache`);
  const env = { ...world.env, DENO_DIR: `${one.path}/cache`, NO_COLOR: "1" };
  const alone = { flags: [...NO_CACHE, "-A"], config: false, cwd: one.path, env };
  assertEquals(await runCommand(`${one.path}/script.min.js`, ["signIn"], alone), true);
});

/** A runtime for compiled programs, where the machine has one. Without it Deno would ask its own host. */
async function findDenort(): Promise<string | undefined> {
  const cached = `dl/release/v${Deno.version.deno}/denort-${Deno.build.target}.zip`;
  for (const path of [Deno.env.get("DENORT_BIN"), `${findDenoDir()}/${cached}`]) {
    if (path && await Deno.stat(path).then(({ isFile }) => isFile, () => false)) return path;
  }
  return undefined;
}

Deno.test("deno compile takes in the lazy parts of a script, whose results are those of its modules", async () => {
  const denort = await findDenort();
  const output = `${folder.path}/program`;
  const flags = ["--no-check", "--config", CONFIG, "-A", "--unstable-kv", "--output", output];
  // Deno itself stands in for a missing runtime: then the program does not run.
  const runtime: Record<string, string> = denort?.endsWith(".zip")
    ? {}
    : { DENORT_BIN: denort ?? DENO };
  const env = { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...runtime };
  const command = [DENO, "compile", ...flags, PROGRAM];
  const { code, stdout, stderr } = await runProcess(command, { env, timeoutMs: 300_000 });
  assertEquals(code, 0, stderr);
  for (const part of ["tokens", "provider", "load", "oauth4webapi", "uqr"]) {
    assertStringIncludes(stdout + stderr, part);
  }
  if (denort === undefined) return;
  const printed = await mustRun([output, "words"], { env: ENV });
  assertEquals(JSON.parse(printed), await runCommand(PROGRAM, ["words"], { env: ENV }));
});
