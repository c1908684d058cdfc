import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { childEnv, DENO, mustRun, runDeno, startDeno, succeeds } from "./deno_process.ts";
import { isPosix } from "./sandbox.ts";
import { tempDir, withTempHome } from "./temp_home.ts";

/** What only some runs have: with coverage, without colors, and what Wine adds to each process. */
const BESIDES = /^(?:__.*|DENO_COVERAGE_DIR|NO_COLOR|WINE.*|PROCESSOR_ARCHITECTURE|SystemDrive)$/;

Deno.test("runDeno gives the child nothing but PATH, DENO_DIR and what its system needs", async () => {
  const code = "console.log(JSON.stringify(Object.keys(Deno.env.toObject())))";
  const result = await runDeno({ code, flags: ["--allow-env"], env: { ONLY: "this" } });
  assertEquals(result.stderr, "");
  const names = (JSON.parse(result.stdout) as string[]).filter((name) => !BESIDES.test(name));
  const needed = isPosix ? [] : ["ComSpec", "PATHEXT", "SystemRoot", "TEMP", "TMP"];
  assertEquals(names.sort(), ["DENO_DIR", "ONLY", "PATH", ...needed].sort());
});

Deno.test("a child has its home folder in USERPROFILE on Windows, and in HOME elsewhere", () => {
  const on = (os: typeof Deno.build.os, env: Record<string, string>) => childEnv(env, os);
  assertEquals(on("windows", { HOME: "h" }).USERPROFILE, "h");
  assertEquals(on("windows", { HOME: "h", USERPROFILE: "u" }).USERPROFILE, "u");
  assertEquals(on("windows", {}).USERPROFILE, undefined);
  assertEquals(on("linux", { HOME: "h" }).USERPROFILE, undefined);
});

Deno.test("succeeds says whether a program is there and ends well", async () => {
  assertEquals(await succeeds([DENO, "--version"]), true);
  assertEquals(await succeeds([DENO, "no-such-command"]), false);
  assertEquals(await succeeds(["no-such-program"]), false);
});

Deno.test("mustRun gives the output, or an error with the complaint", async () => {
  assertStringIncludes(await mustRun([DENO, "--version"]), Deno.version.deno);
  const error = await assertRejects(() => mustRun([DENO, "run", "no-such-file.ts"]), Error);
  assertStringIncludes(error.message, "code 1. ");
  assertStringIncludes(error.message, "no-such-file.ts");
});

Deno.test("startDeno hands out lines, takes input, and knows the end", async () => {
  const code = `
    console.log("one");
    console.log(await new Response(Deno.stdin.readable).text());
    Deno.stdout.writeSync(new TextEncoder().encode("three\\ncut"));
    console.error("why");
    Deno.exit(4);
  `;
  await using child = startDeno({ code });
  assertEquals(await child.line(), "one");
  await child.write("two");
  assertEquals(await child.end(), { code: 4, stdout: "two\nthree\n", stderr: "why\n" });
  await assertRejects(() => child.line(), Error, "The script ended: why");
});

Deno.test("startDeno: a script that was killed hands out its last lines, and leaves nothing", async () => {
  const code = `
    console.log(Deno.mainModule + "\\nlast");
    setInterval(() => {}, 1000);
  `;
  let file = "";
  {
    await using child = startDeno({ code });
    file = await child.line();
    await Deno.stat(new URL(file));
    await child.kill();
    assertEquals(await Array.fromAsync(child.lines()), ["last"]);
  }
  await assertRejects(() => Deno.stat(new URL(file)), Deno.errors.NotFound);
});

Deno.test("runDeno passes arguments, input and exit code, and never prompts", async () => {
  const code = `
    console.log(Deno.args[0], await new Response(Deno.stdin.readable).text());
    try { Deno.readTextFileSync("/etc/hostname"); } catch (error) { console.error(error.name); }
    Deno.exit(3);
  `;
  const result = await runDeno({ code, args: ["one"], stdin: "two" });
  assertEquals(result, { code: 3, stdout: "one two\n", stderr: "NotCapable\n" });
});

Deno.test("runDeno resolves the import map", async () => {
  const code = `import { assertEquals } from "@std/assert"; assertEquals(1, 1);`;
  assertEquals(await runDeno({ code }), { code: 0, stdout: "", stderr: "" });
});

Deno.test("runDeno kills a child that does not end", async () => {
  const code = "setInterval(() => {}, 1000)";
  const error = await assertRejects(() => runDeno({ code, timeoutMs: 90 }), Error);
  assertStringIncludes(error.message, "killed after 90 ms");
});

Deno.test("tempDir and withTempHome leave nothing behind", async () => {
  let path = "";
  {
    await using dir = await tempDir();
    path = dir.path;
    await Deno.mkdir(`${path}/a/b`, { recursive: true });
  }
  await assertRejects(() => Deno.stat(path), Deno.errors.NotFound);
  const before = Deno.env.get("HOME");
  Deno.env.set("VM_TEST_LEFTOVER", "x");
  try {
    const home = await withTempHome((home) => {
      assertEquals(Deno.env.get("HOME"), home);
      assertEquals(Deno.env.get("VM_TEST_LEFTOVER"), undefined);
      Deno.env.set("VM_TEST_OTHER", "y");
      return home;
    });
    await assertRejects(() => Deno.stat(home), Deno.errors.NotFound);
    assertEquals(Deno.env.get("HOME"), before);
    assertEquals(Deno.env.get("VM_TEST_LEFTOVER"), "x");
    assertEquals(Deno.env.get("VM_TEST_OTHER"), undefined);
  } finally {
    Deno.env.delete("VM_TEST_LEFTOVER");
  }
});
