import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { assertNoSecret } from "../support/assert_no_secret.ts";
import { hasJupyter, nbconvert, type Notebook, runNotebook } from "../support/jupyter.ts";
import { quickstart, startNotebookWorld } from "./notebook_world.ts";

Deno.test("quickstart.ipynb is committed without outputs", async () => {
  for (const { cell_type, outputs, execution_count } of (await quickstart()).cells) {
    if (cell_type === "code") assertEquals([outputs, execution_count], [[], null]);
  }
});

Deno.test({
  name: "quickstart.ipynb runs in a Deno kernel as a person has it, and keeps no token",
  ignore: !hasJupyter,
  fn: async () => {
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

    const done = JSON.parse(text) as Notebook;
    const [init, call, session] = done.cells.filter(({ cell_type }) => cell_type === "code")
      .map(({ outputs }) => outputs!);
    assertEquals(init!.map(({ output_type }) => output_type), ["display_data"]);
    const shown = init![0]!.data!;
    assertEquals(Object.keys(shown).sort(), ["text/html", "text/plain"]);
    assertStringIncludes(join(shown["text/plain"]), "Signed in as analyst@example.com.");
    assertStringIncludes(join(shown["text/html"]), "<strong>analyst@example.com</strong>");
    assertEquals(/href|<svg|user_code/.test(join(shown["text/html"])), false, "a dead link");
    assertStringIncludes(join(call![0]!.data!["text/plain"]), "model:");
    assertStringIncludes(join(session![0]!.data!["text/html"]), "token valid until");

    provider.reset();
    const again = await execute(await quickstart(), "again");
    assertNoSecret(again, tokens);
    const outputs = (JSON.parse(again) as Notebook).cells.flatMap(({ outputs = [] }) => outputs);
    assertEquals(outputs.map(({ output_type }) => output_type), Array(3).fill("execute_result"));
    assertStringIncludes(join(outputs.at(-1)!.data!["text/plain"]), "revoked");
    assertEquals(provider.requests.some(({ path }) => path === "/device/auth"), false);
  },
});

Deno.test({
  name: "an interrupt of the kernel ends the wait, and the kernel goes on with all its variables",
  ignore: !hasJupyter,
  fn: async () => {
    await using world = await startNotebookWorld();
    const cell = (source: string) => ({
      cell_type: "code" as const,
      source,
      metadata: {},
      outputs: [],
      execution_count: null,
    });
    const file = await world.write({
      metadata: {},
      cells: [
        cell("const kept = 42;"),
        cell(`import * as vm from "jsr:@validmind/auth"; await vm.init();`),
        cell("kept"),
      ],
    }, "interrupted.ipynb");
    await using running = runNotebook(world.home, file);
    const { content: { transient } } = await running.waitFor(({ type }) => type === "display_data");
    await running.interrupt();
    const error = await running.waitFor(({ type }) => type === "error");
    assertEquals(error.content.ename, "AbortError");
    assertEquals(error.content.evalue, "Cannot sign in: it was interrupted. Run the cell again.");
    await running.ended;
    const last = running.messages.findLast(({ type }) => type === "update_display_data")!.content;
    assertEquals(last.transient, transient);
    assertEquals(last.data!["text/plain"], "Not signed in: the sign-in was interrupted.");
    const result = running.messages.find(({ type }) => type === "execute_result");
    const text = result?.content.data?.["text/plain"] ?? "";
    assert(text.includes("42"), "the kernel lost its variables");
  },
});

function join(text: string | string[] | undefined): string {
  return [text ?? ""].flat().join("");
}
