import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  faultOfVersion,
  LeftOut,
  missingFiles,
  publishOnce,
  runSteps,
  signInFirst,
} from "../../.ci/release.ts";
import { TARGETS } from "../../.ci/compile_cli.ts";
import { KEYRING_PACKAGES } from "../../backends/keychain/client.ts";
import { mustRun, runDeno } from "./deno_process.ts";
import { startNpmRegistry } from "./npm_registry.ts";
import { replace } from "./replace.ts";
import { tempDir } from "./temp_home.ts";

const PACKAGE = "@validmind%2fauth";
const CHANGES = "# Changelog\n\n## 1.2.0, a release\n\n## 1.1.0\n";

Deno.test("release: version, tag and page of changes have to fit", () => {
  assertEquals(faultOfVersion("1.2.0", CHANGES), undefined);
  assertEquals(faultOfVersion("1.2.0", CHANGES, "v1.2.0"), undefined);
  for (
    const [version, tag, fault] of [
      ["1.2", undefined, 'deno.json has the version "1.2"'],
      ["1.2.0", "v1.2.1", "the tag is v1.2.1, and deno.json has the version 1.2.0"],
      ["1.2.0", "1.2.0", "the tag is 1.2.0, and deno.json has the version 1.2.0"],
      ["1.3.0", undefined, "the newest part of the page of changes is for 1.2.0"],
    ] as const
  ) assertEquals(faultOfVersion(version, CHANGES, tag), fault);
});

Deno.test("release: a tarball without a file that it names is found; a version goes out once", async () => {
  await using registry = await startNpmRegistry({ without: ["@validmind/auth"] });
  await using folder = await tempDir();
  assertEquals(await missingFiles(await Deno.readFile(registry.tarball)), []);
  const { path } = folder;
  await mustRun(["tar", "-xzf", registry.tarball, "-C", path]);
  await Deno.remove(`${path}/package/client/cli.js`);
  await mustRun(["tar", "-czf", `${path}/torn.tgz`, "-C", path, "package"]);
  assertEquals(await missingFiles(await Deno.readFile(`${path}/torn.tgz`)), ["./client/cli.js"]);

  const answers = async () => {
    const response = await fetch(registry.env.NPM_CONFIG_REGISTRY + PACKAGE);
    await response.body?.cancel();
    return response.status;
  };
  await assertRejects(() => publishOnce(registry, `${path}/torn.tgz`), Error, "./client/cli.js");
  assertEquals(await answers(), 404);
  await publishOnce(registry, registry.tarball);
  assertEquals(await answers(), 200);
  await assertRejects(() => publishOnce(registry, registry.tarball), Error, "previously published");
});

Deno.test("release: a registry that answers late is waited for", async () => {
  await using registry = await startNpmRegistry({ delayMs: 300 });
  await signInFirst("npm:@validmind/auth", registry.env);
});

Deno.test("release: a registry that does not answer ends the step", async () => {
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) =>
      new Promise((resolve) =>
        request.signal.addEventListener("abort", () => resolve(new Response()))
      ),
  );
  await using folder = await tempDir();
  const env = {
    NPM_CONFIG_REGISTRY: `http://127.0.0.1:${server.addr.port}/`,
    DENO_DIR: folder.path,
  };
  await assertRejects(() => signInFirst("npm:@validmind/auth", env, 2_000), Error, "killed after");
});

Deno.test("release: the first step that fails ends the rehearsal, with the way on", async () => {
  const run: string[] = [];
  const step = (name: string, fault?: Error) => ({
    name,
    remedy: `Mend ${name}.`,
    run: () => (run.push(name), fault ? Promise.reject(fault) : Promise.resolve()),
  });
  const [says, errors] = [stub(console, "log"), stub(console, "error")];
  using _log = says;
  using _error = errors;
  const steps = [step("a"), step("b", new LeftOut("no host")), step("c", new Error("it is torn"))];
  assertEquals(await runSteps([...steps, step("publish")]), 1);
  assertEquals(run, ["a", "b", "c"]);
  assertEquals(says.lines.map((line) => line.split(",")[0]), ["a: ok", "b: left out: no host."]);
  assertEquals(errors.lines, ['Cannot release: the step "c" failed: it is torn\nMend c.']);
});

/** Keeps the lines that a method of the console would write. */
function stub(target: Console, name: "log" | "error") {
  const lines: string[] = [];
  const replaced = replace(target, name, ((line: string) => void lines.push(line)) as never);
  return { lines, [Symbol.dispose]: () => replaced[Symbol.dispose]() };
}

Deno.test("release: a tag that does not fit ends the rehearsal before any work", async () => {
  const { code, stdout, stderr } = await runDeno({
    file: new URL("../../.ci/release.ts", import.meta.url).href,
    flags: ["-A"],
    args: ["--rehearse", "--tag", "v99.0.0"],
  });
  assertEquals([code, stdout], [1, ""]);
  assertStringIncludes(stderr, 'the step "version" failed: the tag is v99.0.0');
  assertStringIncludes(stderr, "Correct deno.json");
});

Deno.test("release: each system with a program has a library for its keychain", () => {
  assertEquals(TARGETS.filter((target) => KEYRING_PACKAGES[target] === undefined), []);
});
