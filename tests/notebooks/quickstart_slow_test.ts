import { assertEquals, assertStringIncludes } from "@std/assert";
import { assertNoSecret } from "../support/assert_no_secret.ts";
import {
  codeCells,
  hasJupyter,
  type KernelMessage,
  nbconvert,
  type Notebook,
  type NotebookOutput,
  runNotebook,
} from "../support/jupyter.ts";
import { quickstart, startNotebookWorld } from "./notebook_world.ts";

Deno.test("quickstart.ipynb is committed without outputs", async () => {
  for (const { cell_type, outputs, execution_count } of (await quickstart()).cells) {
    if (cell_type === "code") assertEquals([outputs, execution_count], [[], null]);
  }
});

Deno.test("quickstart.ipynb runs in a Deno kernel as a person has it, and keeps no token", {
  ignore: !hasJupyter,
}, async () => {
  await using world = await startNotebookWorld();
  const { home, provider } = world;
  provider.autoApprove = true;
  const execute = async (what: Notebook, name: string) => {
    const file = await world.write(what, `${name}.ipynb`);
    await nbconvert(home, file, `${name}-done`, ["--to", "notebook", "--execute"]);
    return await Deno.readTextFile(`${home.path}/${name}-done.ipynb`);
  };
  const text = await execute(await quickstart({ signOut: false }), "first");
  const tokens = await world.tokens();
  assertEquals(tokens.length, 3);
  assertNoSecret(text, tokens);

  const outputs = displaysIn(text);
  assertEquals(outputs.length, 1);
  const shown = outputs[0]!.data!;
  assertEquals(Object.keys(shown).sort(), ["text/html", "text/plain"]);
  assertStringIncludes(join(shown["text/plain"]), "Signed in as analyst@example.com.");
  assertStringIncludes(join(shown["text/html"]), "Signed in as analyst@example.com.");
  assertEquals(/href|<svg|user_code/.test(join(shown["text/html"])), false, "a dead link");

  provider.reset();
  const file = await world.write(await quickstart({ signOut: false }), "again.ipynb");
  await using again = runNotebook(home, file);
  const stored = await again.waitFor(({ type }) => type === "display_data");
  assertStringIncludes(stored.content.data!["text/plain"]!, "Signed in as analyst@example.com.");
  await again.waitFor(({ type }) => type === "ended");
  assertNoSecret(again.messages, tokens);
  assertEquals(provider.requests, [], "a start from the stored token asks nobody");
});

Deno.test(
  "an interrupt of the kernel ends the wait, and the kernel goes on with all its variables",
  { ignore: !hasJupyter },
  async () => {
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
  },
);

function join(text: string | string[] | undefined): string {
  return [text ?? ""].flat().join("");
}

/** What was displayed, but for the results of cells: those Deno 2.9 may send too late to be kept. */
function displaysIn(notebook: string): NotebookOutput[] {
  return (JSON.parse(notebook) as Notebook).cells.flatMap(({ outputs = [] }) => outputs)
    .filter(({ output_type }) => output_type !== "execute_result");
}
