import { assertEquals, assertStringIncludes } from "@std/assert";
import { assertNoSecret } from "../support/assert_no_secret.ts";
import { codeCells, hasJupyter, type KernelMessage, runNotebook } from "../support/jupyter.ts";
import { testWith, whyWithout } from "../support/test_with.ts";
import { quickstart, startNotebookWorld } from "./notebook_world.ts";

Deno.test("quickstart.ipynb is committed without outputs", async () => {
  for (const { cell_type, outputs, execution_count } of (await quickstart()).cells) {
    if (cell_type === "code") assertEquals([outputs, execution_count], [[], null]);
  }
});

const notebookTest = testWith({ whyNot: whyWithout("jupyter", hasJupyter) });

notebookTest(
  "quickstart.ipynb runs in a Deno kernel as a person has it, and keeps no token",
  async () => {
    await using world = await startNotebookWorld();
    const { home, provider } = world;
    provider.autoApprove = true;
    const file = await world.write(await quickstart(), "quickstart.ipynb");
    const run = async (shows: string) => {
      await using running = runNotebook(home, file);
      await running.waitFor(({ type }) => type === "ended");
      assertNoSecret(running.messages, await world.tokens());
      return running.messages.findLast(({ type }) => type === shows)!.content.data!;
    };
    const shown = await run("update_display_data");
    assertEquals(Object.keys(shown).sort(), ["text/html", "text/plain"]);
    assertStringIncludes(shown["text/plain"]!, "Signed in as analyst@example.com.");
    assertStringIncludes(shown["text/html"]!, "Signed in as analyst@example.com.");
    assertEquals(/href|<svg|user_code/.test(shown["text/html"]!), false, "a dead link");

    provider.reset();
    const stored = await run("display_data");
    assertStringIncludes(stored["text/plain"]!, "Signed in as analyst@example.com.");
    assertEquals(provider.requests, [], "a start from the stored token asks nobody");
  },
);

notebookTest("an interrupt of the kernel ends the wait, and all variables stay", async () => {
  await using world = await startNotebookWorld();
  const sources = [
    "const kept = 42;",
    `import * as vm from "jsr:@validmind/auth"; await vm.init();`,
    "kept",
  ];
  const file = await world.write(codeCells(...sources), "interrupted.ipynb");
  await using running = runNotebook(world.home, file);
  const { content: { transient } } = await running.waitFor(({ type }) => type === "display_data");
  await running.interrupt();
  const error = await running.waitFor(({ type }) => type === "error");
  assertEquals(error.content.ename, "AbortError");
  assertEquals(
    error.content.evalue,
    "Cannot sign in: the sign-in was interrupted. Run the cell again.",
  );
  const isResult = ({ cell, type }: KernelMessage) => cell === 2 && type === "execute_result";
  const kept = (await running.waitFor(isResult)).content.data!;
  const last = running.messages.findLast(({ type }) => type === "update_display_data")!.content;
  assertEquals(last.transient, transient);
  assertEquals(last.data!["text/plain"], "Not signed in: the sign-in was interrupted.");
  assertStringIncludes(kept["text/plain"]!, "42", "the kernel lost its variables");
});
