import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { bakedFlags, compileCommand, RELEASE_TARGETS } from "./compile_cli.ts";
import { KEYRING_PACKAGES } from "../../backends/keychain/library.ts";
import { DENO, runProcess } from "./deno_process.ts";
import { denortEnv, findDenort } from "./denort.ts";
import { tempDir } from "./temp_home.ts";

const TARGET = Deno.build.target;
const ignore = KEYRING_PACKAGES[TARGET] === undefined || Deno.build.os !== "linux";

const DENORT = await findDenort();

/** Compiles into a folder, with a runtime that is named or Deno's own. */
async function compile(folder: string, runtime: string | undefined) {
  const output = `${folder}/validmind-auth`;
  const result = await runProcess(compileCommand(TARGET, output), {
    cwd: folder,
    env: denortEnv(runtime),
    timeoutMs: 300_000,
  });
  assertEquals(result.code, 0, result.stderr);
  return { output, said: result.stdout + result.stderr };
}

Deno.test({
  name:
    "deno task compile: the program holds the command line, the keychain's library and no tests",
  ignore,
  fn: async () => {
    await using folder = await tempDir();
    // Deno itself stands in for the runtime: what is embedded does not depend on it.
    const { output, said } = await compile(folder.path, DENO);
    for (const name of ["cli.ts", "keychain.ts", "oauth4webapi", "uqr"]) {
      assertStringIncludes(said, name);
    }
    const bytes = await Deno.readFile(output);
    const library = await libraryOf(TARGET);
    assert(contains(bytes, library), "the keychain's library is not in it");
    for (const name of ["playwright", "oidc-provider", "tests"]) {
      assertEquals(said.includes(name), false, `${name} is in it`);
    }
  },
});

Deno.test({
  name: DENORT
    ? "deno task compile: the program runs without Deno"
    : "deno task compile: the program runs without Deno (there is no denort here: set DENORT_BIN)",
  ignore: ignore || DENORT === undefined,
  fn: async () => {
    await using folder = await tempDir();
    const { output } = await compile(folder.path, DENORT);
    const run = (...args: string[]) =>
      runProcess([output, ...args], { cwd: folder.path, env: { HOME: folder.path, PATH: "" } });
    assertEquals((await run("--version")).code, 0);
    const needs = await run("permissions", "--for=status", "--backend=keychain", "--json");
    assertStringIncludes(needs.stdout, "keyring", needs.stderr);
  },
});

Deno.test("deno task compile: no program may be run but the one that opens the browser", () => {
  for (const target of RELEASE_TARGETS) {
    const flags = bakedFlags(target);
    const [run, ...others] = flags.filter((flag) => flag.startsWith("--allow-run"));
    assertEquals(others, []);
    assert(/^--allow-run=(open|xdg-open|rundll32)$/.test(run!), run);
    assertEquals(flags.includes("--allow-all") || flags.includes("-A"), false);
    assert(compileCommand(target, "x").includes(target));
  }
});

Deno.test("the release workflow builds the program for each target", async () => {
  const workflow = await Deno.readTextFile(
    new URL("../../.github/workflows/release.yml", import.meta.url),
  );
  for (const target of RELEASE_TARGETS) assertStringIncludes(workflow, target);
});

/** The first bytes of the library's code after its header, which no other file begins with. */
async function libraryOf(target: string): Promise<Uint8Array> {
  const { locateLibrary } = await import("../../backends/keychain/library.ts");
  const bytes = await Deno.readFile((await locateLibrary(target))!);
  return bytes.subarray(0, 4096);
}

function contains(bytes: Uint8Array, part: Uint8Array): boolean {
  for (let at = bytes.indexOf(part[0]!); at !== -1; at = bytes.indexOf(part[0]!, at + 1)) {
    let length = 1;
    while (length < part.length && bytes[at + length] === part[length]) length++;
    if (length === part.length) return true;
  }
  return false;
}
