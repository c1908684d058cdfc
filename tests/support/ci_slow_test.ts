/** `.ci/run` with a Deno that does nothing: what it takes for green. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { runDeno, runProcess } from "./deno_process.ts";
import { tempDir } from "./temp_home.ts";
import { testWith } from "./test_with.ts";
import { writeProgram } from "./write_program.ts";

const RUN = fromFileUrl(new URL("../../.ci/run", import.meta.url));
const HOUSE = fromFileUrl(new URL("../../.ci/house.ts", import.meta.url));
const GOOD = `#!/bin/sh
case "$*" in
  --version) echo "deno 2.9.6 (stable)" ;;
  *list) echo /dev/null ;;
  *test:oldest*) echo "Flaked: tests/a_test.ts: a lock"; echo "3 passed, 0 failed, 1 skipped" ;;
  *test:* | *surroundings*) echo "3 passed, 0 failed, 1 skipped" ;;
esac
`;
const test = testWith({ ignore: Deno.build.os !== "linux" }, ".ci/run: "); // it needs timeout(1)

/** Runs all steps by a program in Deno's place; gives its last lines and its exit code. */
async function runSteps(program: string, env: Record<string, string> = {}) {
  await using folder = await tempDir();
  const { path } = folder;
  for (const name of ["repository/.ci", "bin"]) {
    await Deno.mkdir(`${path}/${name}`, { recursive: true });
  }
  await Deno.copyFile(RUN, `${path}/repository/.ci/run`);
  for (
    const [name, text] of [["deno", program], [
      "dpkg-query",
      "#!/bin/sh\necho installed\n",
    ]] as const
  ) {
    writeProgram(`${path}/bin/${name}`, text);
  }
  const { code, stdout } = await runProcess(["bash", `${path}/repository/.ci/run`], {
    env: { PATH: `${path}/bin:${Deno.env.get("PATH")}`, ...env },
  });
  return { code, end: stdout.slice(stdout.lastIndexOf("\n\n") + 2) };
}

/** As another case comes first, it counts. */
const but = (pattern: string, action: string) =>
  GOOD.replace('"$*" in\n', `"$*" in\n  ${pattern}) ${action} ;;\n`);
const [PACKAGES] = Deno.uid() === 0 ? [""] : ["packages: Left out: .*\n"];

test("it is green when each step was, tells flakes, and ends with one line", async () => {
  const { code, end } = await runSteps(GOOD);
  assertEquals(code, 0);
  assertMatch(
    end,
    new RegExp(
      `^${PACKAGES}Flaked: 1, .*\noldest.log:Flaked: tests/a_test.ts: a lock\n18 passed, 0 failed, 6 skipped\n$`,
    ),
  );
});

test("a step that fails is named, and what it ran is counted", async () => {
  const bad = but("*test:servers*", 'echo "2 passed, 1 failed, 0 skipped"; exit 1');
  const { code, end } = await runSteps(bad);
  assertEquals(code, 1);
  assertMatch(end, /^Failed: tests$/m);
  assertMatch(end, /\n17 passed, 1 failed, 5 skipped\n$/);
});

test("steps that never ran have failed, by name", async () => {
  const killed = but("lint", "kill -9 $(ps -o ppid= $PPID)"); // the half beside
  const { code, end } = await runSteps(killed);
  assertEquals(code, 1);
  assertMatch(end, /^Failed: lint types documentation publish fuzz oldest windows$/m);
});

test("a step that is left out is named with its reason, and in CI only a listed one may be", async () => {
  const without = (name: string) => but(`*${name}*`, 'echo "Left out: there is none"; exit 77');
  for (const [name, step, code] of [["windows", "windows", 0], ["oldest", "oldest", 1]] as const) {
    const { code: seen, end } = await runSteps(without(name), { CI: "true" });
    assertMatch(end, new RegExp(`^${step}: Left out: there is none$`, "m"));
    if (Deno.uid() === 0) assertEquals(seen, code, name);
    assertEquals(/^Failed:.* oldest|^Failed: oldest/m.test(end), code === 1);
  }
});

test("nothing is green where no step can write its success", async () => {
  const full = but("*setup", "rm -rf coverage/ci");
  const { code, end } = await runSteps(full);
  assertEquals(code, 1);
  assertMatch(end, /^Failed: packages setup servers .* machine$/m);
});

const keepHouse = (args: string[], env?: Record<string, string>) =>
  runDeno({ file: HOUSE, flags: ["-A"], args, env });

test("a process that a step leaves behind is ended, and named", async () => {
  const { code, stderr } = await keepHouse(["run", "sh", "-c", "setsid sleep 4711 & exit 0"]);
  assertEquals(code, 1);
  const [, pid] = /^Left behind: process (\d+): (?:setsid )?sleep 4711$/m.exec(stderr)!;
  // Its new parent may not have asked yet how it ended.
  assertMatch((await runProcess(["ps", "-o", "stat=", "-p", pid!])).stdout, /^Z|^$/);
  assertEquals((await keepHouse(["run", "sh", "-c", "exit 77"])).code, 77);
});

test("what is new in the home or among temporary files, or gone, is named", async () => {
  await using folder = await tempDir();
  const [home, temporary] = [`${folder.path}/home`, `${folder.path}/temp`];
  for (const path of [`${home}/.cache`, temporary]) await Deno.mkdir(path, { recursive: true });
  await Deno.writeTextFile(`${home}/kept`, "");
  const env = { HOME: home, TMPDIR: temporary };
  const before = `${folder.path}/before`;
  await Deno.writeTextFile(before, (await keepHouse(["list"], env)).stdout);
  for (const path of [`${home}/new`, `${home}/.cache/new`, `${temporary}/new`]) {
    await Deno.writeTextFile(path, "");
  }
  await Deno.remove(`${home}/kept`);
  const { code, stdout } = await keepHouse(["compare", before], env);
  assertEquals(code, 1);
  for (const path of [`${home}/new`, `${temporary}/new`]) {
    assertStringIncludes(stdout, `Left behind: ${path}\n`);
  }
  assertStringIncludes(stdout, `Taken away: ${home}/kept\n`);
  assertEquals(stdout.includes(".cache"), false);
});
