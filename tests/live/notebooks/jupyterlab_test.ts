import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { Notebook } from "../../support/jupyter.ts";
import { answered, type RecordedRequest } from "../../support/request_log.ts";
import { startChromium } from "../../support/chromium.ts";
import { startJupyterLab } from "../../support/servers/jupyterlab.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { openLab } from "../../notebooks/lab_page.ts";
import { codeCells } from "../../support/jupyter.ts";
import { type NotebookWorld, startNotebookWorld } from "../../notebooks/notebook_world.ts";

const { test } = await liveTests("jupyterlab");

const SIGN_IN = `import * as vm from "jsr:@validmind/auth";\nconst session = await vm.init();`;
const HINT = "Was this page reloaded? Then run the cell again after the approval.";
const SIGNED_IN =
  /Signed in as analyst@example\.com\.\s+At http\S+\s+The token is valid until \d{4}-/;

async function approve({ provider }: NotebookWorld, text: string): Promise<void> {
  await provider.approve(/[A-Z]{4}-[A-Z]{4}/.exec(text)![0]);
}

test("JupyterLab: a person signs in, reloads in between, and runs the cell again", async (t) => {
  await using world = await startNotebookWorld();
  const file = await world.write(codeCells(SIGN_IN), "sign_in.ipynb");
  await using lab = await startJupyterLab(world.home);
  await using browser = await startChromium();
  const person = await openLab(browser);
  const address = lab.addressOf("sign_in.ipynb");
  const output = person.output(0).locator(".vm-auth");
  const wait = output.locator(".vm-auth-wait");

  await t.step("the prompt counts, and no box is behind the code", async () => {
    await person.open(address);
    await person.run(0);
    await output.waitFor();
    assertMatch(await wait.innerText(), /^Waiting for approval, expires in (10:00|9:\d\d)$/);
    const { color, space } = await output.locator("samp").evaluate((code) => {
      // deno-lint-ignore no-explicit-any -- a function of the page
      const { backgroundColor, padding } = (globalThis as any).getComputedStyle(code);
      return { color: backgroundColor, space: padding };
    });
    assertEquals([color, space], ["rgba(0, 0, 0, 0)", "0px"]);
  });

  await t.step("a reloaded page goes on counting, and says how to see the result", async () => {
    await person.save();
    const saved = htmlIn(await Deno.readTextFile(file));
    const end = Number(/data-end="(\d+)"/.exec(saved)![1]);
    await new Promise((resolve) => setTimeout(resolve, 5100 - (Date.now() - (end - 600_000))));
    await person.open(address, { isBusy: true });
    await output.waitFor();
    const [, minutes, seconds] = /expires in (\d+):(\d\d)\. (.*)$/.exec(await wait.innerText())!;
    const left = Number(minutes) * 60 + Number(seconds);
    assertEquals(Math.abs(left - (end - Date.now()) / 1000) < 3, true, `${left} s`);
    assertStringIncludes(await wait.innerText(), HINT);
    await approve(world, await output.innerText());
    const isGiven = ({ path, status }: RecordedRequest) =>
      path.endsWith("/token") && status === 200;
    await answered(world.provider.requests, isGiven);
  });

  await t.step("the cell that is run again says who is signed in", async () => {
    await person.page.getByText("Deno | Idle").waitFor();
    await person.run(0);
    await output.filter({ hasText: "Signed in" }).waitFor();
    assertMatch(await output.innerText(), SIGNED_IN);
    world.provider.reset();
    await person.run(0);
    await person.page.getByText("[3]:").waitFor();
    assertMatch(await output.innerText(), SIGNED_IN);
    assertEquals(await person.output(0).count(), 1, "more than the one display");
    assertEquals(world.provider.requests, []);
  });
});

function htmlIn(notebook: string): string {
  const [{ data = {} } = {}] = (JSON.parse(notebook) as Notebook).cells[0]!.outputs!;
  return [data["text/html"] ?? ""].flat().join("");
}
