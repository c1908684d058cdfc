import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { findDenoDir, runDeno } from "../support/deno_process.ts";
import { tempDir } from "../support/temp_home.ts";

const DEMO = { file: `${import.meta.dirname}/demo.ts`, flags: ["-A", "--unstable-kv"] };

/** Opaque tokens have 43 characters, JWTs begin with `eyJ`; nothing else in the story looks so. */
const TOKEN = /[\w-]{40,}|\beyJ/;

Deno.test("the demo tells its story, prints no token and leaves nothing behind", async () => {
  await using temp = await tempDir();
  const home = `${temp.path}/home`;
  await Deno.mkdir(home);
  const env = { HOME: home, TMPDIR: temp.path, VM_OIDC_ISSUER: "https://not.asked.example" };
  const { code, stdout, stderr } = await runDeno({ ...DEMO, env });
  assertEquals(code, 0, stderr);
  assertEquals(stdout.match(/^Step \d of 6: /gm)?.length, 6);
  assertStringIncludes(stderr, "/device?user_code=");
  assertEquals(stderr.match(/^Signed in as analyst@example\.com/gm)?.length, 2);
  assertMatch(stdout, /\nDone: 6 steps in [\d.]+ s\. The temporary home is gone\.\n$/);
  assert(!TOKEN.test(stdout + stderr), "something that looks like a token was printed");
  const entries = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name);
  assertEquals([entries(temp.path), entries(home)], [["home"], []]);
});

Deno.test("a demo that fails names the step and leaves nothing behind", async () => {
  await using temp = await tempDir();
  const { code, stderr } = await runDeno({
    ...DEMO,
    flags: [...DEMO.flags, "--deny-run"], // the second program of step 2 cannot be started
    env: { TMPDIR: temp.path, DENO_DIR: findDenoDir() },
  });
  assertEquals(code, 1);
  assertStringIncludes(stderr, "The demo failed: step 2 of 6");
  assertEquals([...Deno.readDirSync(temp.path)], []);
});
