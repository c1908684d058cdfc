import { assertEquals, assertRejects } from "@std/assert";
import { faultOfVersion, missingFiles, signInFirst } from "../../.ci/release.ts";
import { mustRun } from "./deno_process.ts";
import { startNpmRegistry } from "./npm_registry.ts";
import { tempDir } from "./temp_home.ts";

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

  await registry.publish(registry.tarball);
  await assertRejects(() => registry.publish(registry.tarball), Error, "previously published");
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
