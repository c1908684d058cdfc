// The commands of the page about stores that need a server, typed by the newcomer of README.
import { assertEquals, assertStringIncludes } from "@std/assert";
import { exists } from "@std/fs";
import { pageFences, type ReadmeReader, run, startReadmeWorld } from "../readme_reader.ts";
import { liveTests } from "../support/servers/live_tests.ts";

const live = await liveTests("keyring");

/** Follows README to its script, then the commands below a heading of the page about stores. */
async function follow(reader: ReadmeReader, heading: string, fill = (text: string) => text) {
  const readme = (await pageFences("README.md")).filter(({ heading, text }) =>
    heading === "Quick start" || text.includes("Working on")
  );
  const page = (await pageFences("backends/README.md")).filter((fence) =>
    fence.heading === heading && fence.language === "sh"
  );
  let output = "";
  for (const fence of [...readme, ...page]) {
    output += await run(reader, { ...fence, text: fill(fence.text) });
  }
  assertStringIncludes(output, "Working on Credit Risk Model");
  assertEquals(await exists(`${reader.home}/.validmind/credentials.json`), false);
}

live.test("backends/README.md: a keyring without a desktop keeps the sign-in", async () => {
  await using world = await startReadmeWorld();
  await using reader = await world.newcomer();
  await Deno.writeTextFile(`${reader.home}/keyring-password`, crypto.randomUUID());
  reader.env.VM_OIDC_CREDENTIALS_BACKEND = "keychain";
  await follow(reader, "Keychain");
});
