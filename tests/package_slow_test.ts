import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { walk } from "@std/fs/walk";
import { DELIMITER, dirname, fromFileUrl, join, relative, toFileUrl } from "@std/path";
import { type JsrPackage, type JsrRegistry, startJsrRegistry } from "./support/jsr_registry.ts";
import { startOidcProvider, type TestOidcProvider } from "./support/oidc_provider.ts";
import { tempDir } from "./support/temp_home.ts";
import { startTrackingApi } from "./support/tracking_api.ts";
import { DENO, denoInfo, runDeno, runDenoTool } from "./support/deno_process.ts";

const ROOT = fromFileUrl(new URL("../", import.meta.url));

/** A program as a user writes it. */
const SCRIPT = `import * as vm from "jsr:@validmind/auth";

try {
  const session: vm.Session = await vm.init({ model: "cl123" });
  const { email, backend } = await session.status();
  const answer = await session.post("results", { json: { score: 1 } });
  console.log(JSON.stringify({ email, backend, answer }));
} catch (error) {
  if (!(error instanceof vm.CredentialsBackendError)) throw error;
  console.log(JSON.stringify({ code: error.code, message: error.message }));
}
`;

/** A backend as a platform team writes it. */
const BACKEND =
  `import type { OidcCredentials, OidcCredentialsBackend } from "jsr:@validmind/auth@^0.1";

/** Keeps each entry in a file of its own. */
export class TeamStore implements OidcCredentialsBackend {
  /** Where the files are. */
  readonly location: string;
  /** Makes a store in a folder. */
  constructor({ folder }: { folder: string }) {
    this.location = folder;
  }
  #file(key: string): string {
    return this.location + "/" + encodeURIComponent(key) + ".json";
  }
  /** The entry. */
  async get(key: string): Promise<OidcCredentials | undefined> {
    try {
      return JSON.parse(await Deno.readTextFile(this.#file(key)));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }
  /** Stores it. */
  async put(key: string, entry: OidcCredentials): Promise<void> {
    await Deno.writeTextFile(this.#file(key), JSON.stringify(entry), { mode: 0o600 });
  }
  /** Removes it. */
  async delete(key: string): Promise<void> {
    await Deno.remove(this.#file(key)).catch(() => undefined);
  }
}
`;

const BACKEND_PACKAGE: JsrPackage = {
  name: "@acme/store",
  version: "1.0.0",
  files: { "mod.ts": BACKEND },
  exports: { ".": "./mod.ts" },
};

Deno.test("the package works as a user imports it", async (t) => {
  await using registry = await startJsrRegistry();
  registry.add(BACKEND_PACKAGE);

  await t.step("it holds the sources, and no other code", async () => {
    const files = await publishedFiles(registry);
    assertEquals(files.filter((file) => /\.[cm]?[jt]sx?$/.test(file)), await sourceFiles());
  });

  for (const [kind, specifier] of BACKEND_SPECIFIERS) {
    await t.step(`a backend comes from ${kind}`, async () => {
      await using user = await startUser(registry);
      const { output, stderr } = await user.run({
        VM_OIDC_CREDENTIALS_BACKEND: `${specifier(user.folder)}:TeamStore`,
        VM_OIDC_CREDENTIALS_BACKEND_KWARGS: '{"folder": "${HOME}"}',
      });

      const backend = { name: "TeamStore", location: user.home };
      assertEquals(output.backend, backend, stderr);
      const [stored, ...others] = [...Deno.readDirSync(user.home)].map(({ name }) => name);
      assertEquals(stored, `${encodeURIComponent(`${user.provider.issuer}|validmind-test`)}.json`);
      assertEquals(others, []);
    });
  }

  await t.step("the keychain backend finds its library", async () => {
    await using user = await startUser(registry);
    const script = `import { loadBackendFromEnv } from "jsr:@validmind/auth";
const needs = (await loadBackendFromEnv())!.requiredPermissions!();
console.log(JSON.stringify({ needs: needs.filter(({ name }) => name === "ffi") }));
`;
    await Deno.writeTextFile(join(user.folder, "script.ts"), script);
    const { output } = await user.run({ VM_OIDC_CREDENTIALS_BACKEND: "keychain" });

    const [{ path }, ...others] = output.needs as [{ path: string }];
    assertEquals(others, []);
    assert((await Deno.stat(path)).isFile);
    assertStringIncludes(path, "@napi-rs");
  });
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

const BACKEND_SPECIFIERS: [kind: string, specifier: (folder: string) => string][] = [
  ["a file: URL", (folder) => toFileUrl(join(folder, "backends", "team_store.ts")).href],
  ["a path from the working directory", () => "./backends/team_store.ts"],
  ["a jsr: package", () => "jsr:@acme/store@^1"],
];

interface User extends AsyncDisposable {
  /** Where the script and the backend are, and where it is run. */
  readonly folder: string;
  /** An empty home. */
  readonly home: string;
  readonly provider: TestOidcProvider;
  /** Runs the script, and gives what it printed. */
  run(env: Record<string, string>): Promise<{ output: Record<string, unknown>; stderr: string }>;
}

/** Somebody outside the repository, with a script and a backend, and a provider to sign in to. */
async function startUser(registry: JsrRegistry): Promise<User> {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await tempDir());
  const provider = stack.use(await startOidcProvider({ interval: 0.05 }));
  provider.autoApprove = true;
  const api = stack.use(await startTrackingApi({ accepts: (token) => provider.isActive(token) }));
  const [home, folder] = [join(path, "home"), join(path, "work")];
  await Deno.mkdir(home);
  await Deno.mkdir(join(folder, "backends"), { recursive: true });
  await Deno.writeTextFile(join(folder, "script.ts"), SCRIPT);
  await Deno.writeTextFile(join(folder, "backends", "team_store.ts"), BACKEND);
  const settings = {
    ...registry.env,
    PATH: `${dirname(DENO)}${DELIMITER}${Deno.env.get("PATH") ?? ""}`,
    HOME: home,
    USERPROFILE: home,
    VM_OIDC_ISSUER: provider.issuer,
    VM_OIDC_CLIENT_ID: provider.clientId,
    VM_API_HOST: api.apiHost,
  };
  const run: User["run"] = async (env) => {
    const { code, stdout, stderr } = await runDeno({
      file: "script.ts",
      flags: [
        `--allow-read=${path}`,
        `--allow-write=${home}`,
        "--allow-net=127.0.0.1",
        "--allow-env",
      ],
      config: false,
      cwd: folder,
      env: { ...settings, ...env },
      timeoutMs: 300_000,
    });
    assertEquals(code, 0, stderr);
    return { output: JSON.parse(stdout), stderr };
  };
  const started = stack.move();
  const dispose = () => started.disposeAsync();
  return { folder, home, provider, run, [Symbol.asyncDispose]: dispose };
}

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
