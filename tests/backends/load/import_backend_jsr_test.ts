import { assert, assertEquals } from "@std/assert";
import { BACKEND_VARIABLES } from "../../../backends/common/backend_choice.ts";
import { runDeno } from "../../support/deno_process.ts";
import { startJsrRegistry } from "../../support/jsr_registry.ts";
import { tempDir } from "../../support/temp_home.ts";

const BACKEND = `/** A backend on JSR. @module */
/** Keeps one row. */
export class AcmeBackend {
  /** Where it would be. */
  readonly location: string;
  /** Makes it. */
  constructor(options: { url: string }) {
    this.location = options.url;
  }
  /** Gives nothing. */
  get(_key: string): undefined {}
  /** Takes nothing. */
  put(_key: string, _entry: unknown): void {}
  /** Deletes nothing. */
  delete(_key: string): void {}
}
`;

const SCRIPT = `
  import { loadBackendFromEnv } from "jsr:@validmind/auth";
  try {
    const backend = await loadBackendFromEnv();
    console.log(backend.constructor.name, backend.location ?? "");
  } catch (error) {
    console.log(error.code, error.message);
  }
`;

const NAMES = Object.values(BACKEND_VARIABLES);

Deno.test("the package as JSR serves it loads backends that the environment names", async () => {
  await using folder = await tempDir();
  await using registry = await startJsrRegistry();
  registry.add({
    name: "@acme/backend",
    version: "1.2.0",
    files: { "mod.ts": BACKEND },
    exports: { ".": "./mod.ts", "./sub": "./mod.ts" },
  });
  await Deno.writeTextFile(`${folder.path}/mine.ts`, BACKEND);
  await Deno.writeTextFile(`${folder.path}/main.ts`, SCRIPT);

  const run = async (spec: string, flags: string[] = []) => {
    const { stdout, stderr } = await runDeno({
      file: "main.ts",
      flags: ["--no-config", `--allow-env=${NAMES}`, ...flags],
      config: false,
      cwd: folder.path,
      env: {
        ...registry.env,
        VM_OIDC_CREDENTIALS_BACKEND: spec,
        VM_OIDC_CREDENTIALS_BACKEND_KWARGS: '{"url": "acme-url"}',
      },
    });
    return (stdout || stderr).trim();
  };
  const imports = `--allow-import=${new URL(registry.url).host}`;

  const read = `--allow-read=${folder.path}`;
  const data = `data:application/typescript,${encodeURIComponent(BACKEND)}`;
  const loaded = "AcmeBackend acme-url";
  assertEquals(await run("jsr:@acme/backend@^1/sub#AcmeBackend", [imports]), loaded);
  assertEquals(await run("./mine.ts:AcmeBackend", [read]), loaded);
  assertEquals(await run(`${data}:AcmeBackend`), loaded);

  const missing = await run("jsr:@acme/nothing:Store", [imports]);
  assert(missing.startsWith("backend_import_failed"), missing);
  const denied = await run("./mine.ts:AcmeBackend");
  assert(denied.startsWith("permission_required") && denied.includes("./mine.ts"), denied);
  assert(denied.includes("--allow-read") && !denied.includes("acme-url"), denied);
});
