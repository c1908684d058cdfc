// The pages as a newcomer reads them, README first: from the first line to the last, in order, on an empty home.
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import {
  type Fence,
  pageFences,
  type ReadmeReader,
  runCells,
  startReadmeWorld,
} from "./readme_reader.ts";

/** The pages in their order, with the headings whose commands run elsewhere: by live or slow tests. */
const PAGES: Record<string, readonly string[]> = {
  "README.md": ["Try it"],
  "client/command_line.md": ["kubectl and git"],
  "client/README.md": ["Fast starts"],
  "backends/README.md": ["Memory and Deno KV", "Keychain"],
  "backends/own.md": ["Test it"],
  "client/errors.md": [],
};

/** The first line of code that a person saves. */
const FILE_NAME = /^\/\/ (\S+\.ts)\n/;

Deno.test({
  name:
    "the pages can be followed to their end: every command does what it says, one after the other",
  ignore: Deno.build.os === "windows", // the commands are for a POSIX shell
  async fn(t) {
    await using world = await startReadmeWorld();
    await using reader = await world.newcomer();
    await reader.save("job.sh", '#!/bin/sh\ntest -n "$VM_ACCESS_TOKEN"\n'); // of command_line.md
    let quickStart = reader.env;
    let output = "";
    const stored = () => Deno.readTextFile(`${reader.home}/.validmind/credentials.json`);
    for (const [page, elsewhere] of Object.entries(PAGES)) {
      const all = await pageFences(new URL(`../${page}`, import.meta.url));
      const fences = all.filter(({ heading, language, text }) =>
        !elsewhere.includes(heading) &&
        (page === "README.md" || language === "sh" || FILE_NAME.test(text))
      );
      for (const [index, fence] of fences.entries()) {
        const [begin = ""] = fence.text.split("\n");
        await t.step(`${page}, ${fence.heading}: ${begin}`, async () => {
          const isNewShell = fences[index - 1]?.heading !== fence.heading;
          if (isNewShell && !fence.heading.startsWith("Quick")) reader.env = quickStart;
          output += await run(reader, fence);
          if (fence.heading === "Quick start") quickStart = reader.env;
        });
      }
      if (page === "README.md") assertStringIncludes(await stored(), world.provider.issuer);
    }
    assertMatch(output, /Signed in as analyst@example\.com/); // the notebook
    assertStringIncludes(output, "Working on Credit Risk Model"); // the script
    assertMatch(output, /"path": ?"things"/); // the command line's token
    await assertRejects(stored, Deno.errors.NotFound); // the last page removes everything
  },
});

/** Runs a fence as the reader would: commands, a cell, the script that later commands name, or an example. */
async function run(reader: ReadmeReader, { heading, language, text }: Fence): Promise<string> {
  if (language === "sh") return await follow(reader, text);
  const [, file] = FILE_NAME.exec(text) ?? [];
  if (file !== undefined) return await reader.save(file, text);
  if (heading === "Notebook") {
    const output = await runCells(reader, [text]);
    assert(!/Uncaught/.test(output), output);
    return output;
  }
  if (text.includes("Working on")) {
    await reader.save("script.ts", text);
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
