import { assertEquals, assertStringIncludes } from "@std/assert";
import { assertNoSecret, rememberSecret } from "../support/assert_no_secret.ts";
import { codeCells, hasJupyter, runNotebook } from "../support/jupyter.ts";
import { cellsIn } from "../support/run_cell.ts";
import { testWith, whyWithout } from "../support/test_with.ts";
import { startNotebookWorld } from "./notebook_world.ts";

const IMPORT = `import * as vm from "jsr:@validmind/auth";`;

const notebookTest = testWith({ whyNot: whyWithout("jupyter", hasJupyter) });

notebookTest(
  "a sign-in in two cells: one shows the link and returns, the next hands in the address",
  async () => {
    await using world = await startNotebookWorld();
    // The address is known after the first cell only: it is read from a file, as a person types it.
    const place = JSON.stringify(`${world.home.path}/address.txt`);
    const file = await world.write(
      codeCells(
        `${IMPORT}\nconst signIn = await vm.startSignIn();`,
        `let address = ""; while (address === "") {
          await new Promise((resolve) => setTimeout(resolve, 50));
          address = await Deno.readTextFile(${place}).catch(() => "");
        }
        const session = await signIn.finish(address);
        console.log("again:", await signIn.finish(address) === session);`,
        `const again = await vm.init(); (await again.status()).email`,
      ),
      "two_cells.ipynb",
    );
    await using running = runNotebook(world.home, file);
    const shown = (await running.waitFor(({ type }) => type === "display_data")).content.data!;
    const [link] = /http\S+\/auth\?\S+/.exec(shown["text/plain"]!)!;
    const html = shown["text/html"]!;
    await running.waitFor(({ cell, type }) => cell === 1 && type === "execute_input");
    assertEquals(html.includes("<svg"), false, "a phone cannot bring the answer back");
    assertStringIncludes(html, "signIn.finish(");
    const stopAt = new URL(link).searchParams.get("redirect_uri")!;
    const { url } = await world.provider.follow(link, { stopAt });
    for (const name of ["code", "state"]) rememberSecret(new URL(url).searchParams.get(name)!);
    await Deno.writeTextFile(`${world.home.path}/address.txt.new`, url);
    await Deno.rename(`${world.home.path}/address.txt.new`, `${world.home.path}/address.txt`);
    const result = await running.waitFor(({ cell, type }) =>
      cell === 2 && type === "execute_result"
    );
    assertStringIncludes(result.content.data!["text/plain"]!, "analyst@example.com");
    const { data } =
      running.messages.findLast(({ type }) => type === "update_display_data")!.content;
    assertStringIncludes(data!["text/plain"]!, "Signed in as analyst@example.com.");
    const said = running.messages.filter(({ type }) => type === "stream");
    assertStringIncludes(said.map(({ content }) => content.text).join(""), "again: true");
    const left = JSON.stringify(running.messages).replaceAll(link, "")
      .replaceAll(link.replaceAll("&", "&#38;"), "");
    assertNoSecret(left, await world.tokens());
  },
);

/** Code of a cell that waits for a file of the test and gives its text. */
const textOf = (path: string) =>
  `await (async () => { for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const text = await Deno.readTextFile(${JSON.stringify(path)}).catch(() => "");
    if (text !== "") return text;
  } })()`;

notebookTest("a waiting cell's two cells run as shown where only init was imported", async () => {
  await using world = await startNotebookWorld();
  const place = (name: string) => `${world.home.path}/${name}.txt`;
  const hand = async (name: string, text: string) => {
    await Deno.writeTextFile(`${place(name)}.new`, text);
    await Deno.rename(`${place(name)}.new`, place(name));
  };
  // A cell that is known later is run by a function, which gives its constant back.
  const run = `const run = (code, signIn) =>
    new (async () => {}).constructor("signIn", code.replace("const signIn = ", "return "))(signIn);`;
  const file = await world.write(
    codeCells(
      `import { init } from "jsr:@validmind/auth";
      const stop = new AbortController();
      const waiting = init({ flow: "browser", signal: stop.signal });
      const first = ${textOf(place("first"))};
      stop.abort(new Error("interrupted"));
      console.log((await waiting.catch((error) => error)).message);`,
      `${run}\nconst signIn = await run(first);`,
      `await run(${textOf(place("second"))}, signIn);`,
      `const [, address] = /import\\("([^"]+)"/.exec(first);
      [(await import(address)).init === init, (await (await init()).status()).email].join()`,
    ),
    "shown_cells.ipynb",
  );
  await using running = runNotebook(world.home, file);
  const shownIn = async (at: number) => {
    const isShown = (one: { cell: number; type: string }) =>
      one.cell === at && one.type === "display_data";
    return (await running.waitFor(isShown)).content.data!["text/plain"]!;
  };
  const [first, second] = cellsIn(await shownIn(0));
  await hand("first", first!);
  const [link] = /http\S+\/auth\?\S+/.exec(await shownIn(1))!;
  const stopAt = new URL(link).searchParams.get("redirect_uri")!;
  const { url } = await world.provider.follow(link, { stopAt });
  await hand("second", second!.replace("<address of the last page>", url));
  const result = await running.waitFor(({ cell, type }) => cell === 3 && type === "execute_result");
  assertStringIncludes(result.content.data!["text/plain"]!, "true,analyst@example.com");
});
