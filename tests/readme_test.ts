// README as a newcomer reads it: from its first line, in its order, on an empty home.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { hasJupyter, runNotebook } from "./support/jupyter.ts";
import {
  type Fence,
  readmeCommand,
  readmeFences,
  type ReadmeReader,
  type ReadmeWorld,
  runCells,
  startReadmeWorld,
} from "./support/readme_reader.ts";

const FIVE_MINUTES_MS = 5 * 60_000;
const ignore = Deno.build.os === "windows"; // the fences are for a POSIX shell

/** The headings that each reader follows, and what lies between is for others. */
const WAYS = {
  notebook: ["Install", "Quick start", "Notebook"],
  script: ["Install", "Quick start", "Script"],
  "script with no more permissions than README names": ["Install", "Quick start", "Permissions"],
  shell: ["Install", "Quick start", "Command line"],
  "shell with no more permissions than the program names": [
    "Install",
    "Quick start",
    "Command line",
  ],
} as const;

/** Commands that other tests run, since each takes minutes. */
const NOT_HERE = "Try it";

Deno.test({
  name:
    "README leads a notebook, a script and a shell to a sign-in, in under five minutes together",
  ignore,
  async fn(t) {
    const begin = performance.now();
    await using world = await startReadmeWorld();
    for (const [way, headings] of Object.entries(WAYS)) {
      await t.step(way, async () => {
        world.provider.reset();
        await using reader = await world.newcomer();
        const fences = (await readmeFences()).filter(({ heading }) =>
          (headings as readonly string[]).includes(heading)
        );
        await READERS[way as keyof typeof WAYS](world, reader, fences);
        const stored = await Deno.readTextFile(`${reader.home}/.validmind/credentials.json`);
        assertStringIncludes(stored, world.provider.issuer);
      });
    }
    assert(performance.now() - begin < FIVE_MINUTES_MS);
  },
});

Deno.test({
  name: "README can be followed to its end: every fence does what it says, one after the other",
  ignore,
  async fn(t) {
    await using world = await startReadmeWorld();
    await using reader = await world.newcomer();
    const fences = (await readmeFences()).filter(({ heading }) => heading !== NOT_HERE);
    let quickStart = reader.env;
    for (const [index, fence] of fences.entries()) {
      const [begin = ""] = fence.text.split("\n");
      await t.step(`${fence.heading}: ${begin}`, async () => {
        const isNewShell = fences[index - 1]?.heading !== fence.heading;
        if (isNewShell && !fence.heading.startsWith("Quick")) reader.env = quickStart;
        if (fence.language === "sh") await follow(reader, fence.text);
        else await runCode(reader, fence);
        if (fence.heading === "Quick start") quickStart = reader.env;
      });
    }
  },
});

/** Runs code as the reader would: a cell, the script that later commands name, or an example. */
async function runCode(reader: ReadmeReader, { heading, text }: Fence): Promise<void> {
  if (heading === "Notebook") {
    const output = await runCells(reader, [text]);
    assert(!/Uncaught/.test(output), output);
  } else if (isScript(text)) {
    for (const name of ["script.ts", "job.ts"]) await reader.save(name, text);
  } else {
    await reader.save("example.ts", text);
    await follow(reader, "deno run -A example.ts");
  }
}

/** Whether the code is the quick start's script. */
function isScript(text: string): boolean {
  return text.includes("Working on");
}

type Follow = (world: ReadmeWorld, reader: ReadmeReader, fences: Fence[]) => Promise<void>;

const READERS: Record<keyof typeof WAYS, Follow> = {
  async notebook(_, reader, fences) {
    for (const fence of fences.filter(({ language }) => language === "sh")) {
      await follow(reader, fence.text);
    }
    const cells = fences.filter(({ language }) => language === "ts").map(({ text }) => text);
    assert(cells.length > 0);
    const output = hasJupyter ? await inKernel(reader, cells) : await runCells(reader, cells);
    assert(!/Uncaught|Error/.test(output), output);
    assertMatch(output, /Signed in as analyst@example\.com/);
    assertMatch(output, /Credit Risk Model/);
  },
  async script(world, reader, fences) {
    const output = await runScript(reader, fences);
    assertStringIncludes(output, "Working on Credit Risk Model");
    assertStringIncludes(output, "log_metadata");
    assertEquals(world.provider.requests.filter(({ path }) => path === "/device/auth").length, 1);
  },
  async "script with no more permissions than README names"(world, reader, fences) {
    const script = (await readmeFences()).find(({ text }) => isScript(text))!;
    const isRun = ({ text }: Fence) => text.startsWith("deno run");
    const ofPermissions = fences.filter((fence) => fence.heading !== "Permissions" || isRun(fence));
    const output = await runScript(reader, [script, ...ofPermissions]);
    assertStringIncludes(output, "Working on Credit Risk Model");
    world.provider.reset();
    assertStringIncludes(
      await follow(reader, fences.find(isRun)!.text),
      "Working on Credit Risk Model",
    );
    assertEquals(world.provider.requests, [], "the stored sign-in was not used");
  },
  async shell(_, reader, fences) {
    let output = "";
    for (const fence of fences) output += await follow(reader, fence.text);
    assertMatch(output, /^Signed in +as analyst@example\.com/m);
    const { path, method } = JSON.parse(output.slice(output.indexOf("{")));
    assertEquals([method, path], ["GET", "things"]);
  },
  async "shell with no more permissions than the program names"(_, reader, fences) {
    const [, install, login, use] = /^(deno install .*)\n(.* login)\n(.*)\n$/.exec(
      fences.at(-1)!.text,
    )!;
    for (const text of [...fences.slice(0, -1).map(({ text }) => text), install!]) {
      await follow(reader, text);
    }
    const [narrow] = (await follow(reader, "validmind-auth permissions --for cli")).split("\n");
    assert(!/ -A |--allow-all/.test(narrow!), narrow);
    await follow(reader, narrow!);
    assertMatch(await follow(reader, login!), /^Signed in +as analyst@example\.com/m);
    assertEquals(JSON.parse(await follow(reader, use!)).path, "things");
  },
};

/** Saves the script under the name that README calls it by, and follows the shell's fences. */
async function runScript(reader: ReadmeReader, fences: readonly Fence[]): Promise<string> {
  await reader.save("script.ts", fences.find(({ text }) => isScript(text))!.text);
  let output = "";
  for (const fence of fences.filter(({ language }) => language === "sh")) {
    output += await follow(reader, fence.text);
  }
  return output;
}

/** Types a command, which has to succeed. */
async function follow(reader: ReadmeReader, text: string): Promise<string> {
  const { code, stdout, stderr } = await reader.type(text);
  assertEquals(code, 0, `${text}\n${stdout}\n${stderr}`);
  return stdout;
}

/** Installs the kernel as README says, and gives all that it has shown. */
async function inKernel(reader: ReadmeReader, cells: readonly string[]): Promise<string> {
  const { code, stderr } = await reader.type(await readmeCommand("deno jupyter --install"));
  assertEquals(code, 0, stderr);
  const notebook = {
    metadata: {},
    cells: cells.map((source) => ({ cell_type: "code", source, metadata: {} })),
  };
  const file = await reader.save("notebook.ipynb", JSON.stringify(notebook));
  await using running = runNotebook({ path: reader.home, env: reader.env }, file);
  const last = cells.length - 1;
  await running.waitFor(({ cell, type }) =>
    type === "error" || cell === last && type === "execute_result"
  );
  return JSON.stringify(running.messages.map(({ content }) => content));
}
