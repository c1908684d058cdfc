// The pages as a newcomer reads them, README first: from the first line to the last, in order, on an empty home.
import { assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { FILE_NAME, pageFences, run, startReadmeWorld } from "./readme_reader.ts";

/** Stores whose module's text has variables, by which the command then opens the store. */
const MODULES = ["encrypted", "fallback", "helper", "vault"];
const OPENS = "\nvalidmind-auth permissions";

/** The pages in their order, with the headings whose fences run elsewhere: by live or slow tests. */
const PAGES: Record<string, readonly string[]> = {
  "README.md": ["Try it"],
  "mod.ts": [],
  "client/cli.ts": [],
  "client/command_line.md": ["kubectl and git"],
  "client/README.md": ["Fast starts", "With only the API's address"],
  "client/jobs.md": [],
  "client/providers.md": [],
  "client/hubs.md": ["One store for all", "The kernel", "Vault on one machine", "Kubernetes"],
  "backends/README.md": ["Memory and Deno KV", "Keychain"],
  "backends/own.md": [],
  ...Object.fromEntries(MODULES.map((name) => [`backends/${name}.ts`, []])),
  "client/errors.md": [],
};

/** Commands in sentences that are not typed: parts of one, Vault's, and those that reach beyond loopback or this home. */
const NAMED =
  /^(validmind-auth (COMMAND|migrate|logout --all)|deno (cache|clean|compile|upgrade)|vault)/;

/** What jobs.md says is enough. */
const JOB = `import { createSession } from "jsr:@validmind/auth"; await createSession();`;

Deno.test({
  name:
    "the pages can be followed to their end: every command does what it says, one after the other",
  ignore: Deno.build.os === "windows", // the commands are for a POSIX shell
  async fn(t) {
    await using world = await startReadmeWorld();
    await using reader = await world.newcomer();
    await reader.save("job.sh", '#!/bin/sh\ntest -n "$VM_ACCESS_TOKEN"\n'); // of command_line.md
    await reader.save("job.ts", JOB);
    let quickStart = reader.env;
    let output = "";
    const stored = () => Deno.readTextFile(`${reader.home}/.validmind/credentials.json`);
    for (const [page, elsewhere] of Object.entries(PAGES)) {
      const fences = (await pageFences(page)).filter(({ heading, language, text }) =>
        language === "inline" ? !NAMED.test(text) : !elsewhere.includes(heading) &&
          (page === "README.md" || /sh|json/.test(language) || FILE_NAME.test(text))
      );
      for (const [index, fence] of fences.entries()) {
        const [begin = ""] = fence.text.split("\n");
        await t.step(`${page}, ${fence.heading}: ${begin}`, async () => {
          const isNewShell = fences[index - 1]?.heading !== fence.heading;
          if (isNewShell && !fence.heading.startsWith("Quick")) reader.env = quickStart;
          // The recipe is for everybody, also for one whose shell names a profile.
          const isRecipe = fence.heading === "Test your own code";
          if (isRecipe) reader.env = { ...reader.env, VM_OIDC_PROFILE: "staging" };
          const more = page.startsWith("backends/") && page.endsWith(".ts") ? OPENS : "";
          output += await run(reader, { ...fence, text: fence.text + more });
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
