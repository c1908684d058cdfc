// A user's script as one program of `deno compile`, from its modules and from its bundle.
import { assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { KEYRING_PACKAGES, KEYRING_VERSION } from "../../backends/keychain/library.ts";
import { denortEnv, findDenort } from "../support/denort.ts";
import { DENO, mustRun, runProcess } from "../support/deno_process.ts";
import { tempDir } from "../support/temp_home.ts";
import { bundle, PROGRAM, runCommand } from "./bundles/bundle_world.ts";

const DENORT = await findDenort();
const CONFIG = fromFileUrl(new URL("../../deno.json", import.meta.url));

/** Compiles a script. Deno itself stands in for a missing runtime: then the program does not run. */
async function compile(script: string, output: string) {
  const env = denortEnv(DENORT ?? DENO);
  const flags = ["--no-check", "--config", CONFIG, "-A", "--unstable-kv", "--output", output];
  const command = [DENO, "compile", ...flags, script];
  const { code, stdout, stderr } = await runProcess(command, { env, timeoutMs: 300_000 });
  assertEquals(code, 0, stderr);
  return stdout + stderr;
}

Deno.test("deno compile takes in the lazy parts of a script's modules, and a bundle as one file", async () => {
  await using folder = await tempDir();
  const said = await compile(PROGRAM, `${folder.path}/modules`);
  for (const part of ["tokens", "provider", "load", "oauth4webapi", "uqr"]) {
    assertStringIncludes(said, part);
  }
  const file = await bundle(PROGRAM, `${folder.path}/out`, "minified");
  const ofBundle = await compile(file, `${folder.path}/bundled`);
  assertStringIncludes(ofBundle, "program.js");
  for (const part of ["tokens", "oauth4webapi"]) assertEquals(ofBundle.includes(part), false);
});

Deno.test("the page names the package that takes the keychain's library into a program", async () => {
  const page = await Deno.readTextFile(new URL("../../client/README.md", import.meta.url));
  const library = KEYRING_PACKAGES["x86_64-unknown-linux-gnu"];
  assertStringIncludes(page, `--include npm:${library}@${KEYRING_VERSION}/package.json`);
});

Deno.test({
  name: "a compiled script gives the results of its modules" +
    (DENORT ? "" : " (there is no denort here: set DENORT_BIN)"),
  ignore: DENORT === undefined,
  fn: async () => {
    await using folder = await tempDir();
    const file = await bundle(PROGRAM, `${folder.path}/out`, "minified");
    const env = { HOME: folder.path, NO_COLOR: "1", VM_OIDC_ISSUER: "https://login.example.com" };
    const all = { ...env, VM_OIDC_CLIENT_ID: "my-app" };
    const expected = await runCommand(PROGRAM, ["words"], { env: all });
    for (const script of [PROGRAM, file]) {
      await compile(script, `${folder.path}/program`);
      const printed = await mustRun([`${folder.path}/program`, "words"], { env: all });
      assertEquals(JSON.parse(printed), expected);
    }
  },
});
