import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { runDeno, startDeno } from "../support/deno_process.ts";
import { namesIn } from "../support/sandbox.ts";
import { tempDir } from "../support/temp_home.ts";

/** Opaque tokens have 43 characters, JWTs begin with `eyJ`; nothing else in the story looks so. */
const TOKEN = /[\w-]{40,}|\beyJ/;

Deno.test("the demo tells its story, prints no token and leaves nothing behind", async () => {
  await using temp = await tempDir();
  const home = `${temp.path}/home`;
  await Deno.mkdir(home);
  const { code, stdout, stderr } = await runDeno({
    file: `${import.meta.dirname}/demo.ts`,
    flags: ["-A", "--unstable-kv"],
    env: { HOME: home, TMPDIR: temp.path, VM_OIDC_ISSUER: "https://not.asked.example" },
  });
  assertEquals(code, 0, stderr);
  assertStringIncludes(stderr, "/device?user_code=");
  assertStringIncludes(stdout, "task demo --manual");
  assertEquals(stderr.match(/^Signed in as analyst@example\.com/gm)?.length, 1);
  assertMatch(stdout, /provider +0\n.*too +true\n.*revoked\n.*login_required\n/s);
  assertStringIncludes(stdout, "\nDone. The temporary home is gone.\n");
  assert(!TOKEN.test(stdout + stderr), "something that looks like a token was printed");
  assertEquals([namesIn(temp.path), namesIn(home)], [["home"], []]);
});

Deno.test("the demo that a person ends leaves nothing behind", {
  ignore: Deno.build.os === "windows", // a parent cannot send Ctrl-C
}, async () => {
  await using temp = await tempDir();
  await using demo = startDeno({
    file: `${import.meta.dirname}/demo.ts`,
    flags: ["-A", "--unstable-kv"],
    args: ["--manual"],
    env: { HOME: temp.path, TMPDIR: temp.path },
  });
  while (!(await demo.line()).includes("vm.init()")); // which waits for the person
  Deno.kill(demo.pid, "SIGINT");
  assertEquals((await demo.end()).code, 130);
  assertEquals(namesIn(temp.path), []);
});
