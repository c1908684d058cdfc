// README as a newcomer reads it: from its first line to its last, in its order, on an empty home.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  type Fence,
  readmeFences,
  type ReadmeReader,
  runCells,
  startReadmeWorld,
} from "./readme_reader.ts";

/** Commands that other tests run, since each takes minutes. */
const NOT_HERE = "Try it";

Deno.test({
  name: "README can be followed to its end: every fence does what it says, one after the other",
  ignore: Deno.build.os === "windows", // the fences are for a POSIX shell
  async fn(t) {
    await using world = await startReadmeWorld();
    await using reader = await world.newcomer();
    const fences = (await readmeFences()).filter(({ heading }) => heading !== NOT_HERE);
    let quickStart = reader.env;
    let output = "";
    for (const [index, fence] of fences.entries()) {
      const [begin = ""] = fence.text.split("\n");
      await t.step(`${fence.heading}: ${begin}`, async () => {
        const isNewShell = fences[index - 1]?.heading !== fence.heading;
        if (isNewShell && !fence.heading.startsWith("Quick")) reader.env = quickStart;
        output += await run(reader, fence);
        if (fence.heading === "Quick start") quickStart = reader.env;
      });
    }
    const stored = await Deno.readTextFile(`${reader.home}/.validmind/credentials.json`);
    assertStringIncludes(stored, world.provider.issuer);
    assertMatch(output, /Signed in as analyst@example\.com/); // the notebook
    assertStringIncludes(output, "Working on Credit Risk Model"); // the script
    assertMatch(output, /"path": ?"things"/); // the command line's token
  },
});

/** Runs a fence as the reader would: commands, a cell, the script that later commands name, or an example. */
async function run(reader: ReadmeReader, { heading, language, text }: Fence): Promise<string> {
  if (language === "sh") return await follow(reader, text);
  if (heading === "Notebook") {
    const output = await runCells(reader, [text]);
    assert(!/Uncaught/.test(output), output);
    return output;
  }
  if (text.includes("Working on")) {
    for (const name of ["script.ts", "job.ts"]) await reader.save(name, text);
    return "";
  }
  await reader.save("example.ts", text);
  return await follow(reader, "deno run -A example.ts");
}

/** Types a command, which has to succeed. */
async function follow(reader: ReadmeReader, text: string): Promise<string> {
  const { code, stdout, stderr } = await reader.type(text);
  assertEquals(code, 0, `${text}\n${stdout}\n${stderr}`);
  return stdout;
}
