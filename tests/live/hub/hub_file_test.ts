import { assertEquals, assertRejects } from "@std/assert";
import { startChromium } from "../../support/chromium.ts";
import { whyNoAccounts } from "../../support/run_denied.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { isThere } from "../../support/servers/servers.ts";
import { addPythonModules, BothLanguages } from "./both_languages.ts";
import type { HubKernel } from "./hub_kernel.ts";
import { signInFrom } from "./hub_notebook.ts";
import type { KernelName } from "./hub_robot.ts";
import { hubStory } from "./hub_story.ts";
import { startHubWorld } from "./hub_world.ts";
import { searchForSecrets } from "./search_machine.ts";

const LIBRARY = new URL("../../support/validmind_library.py", import.meta.url);

const live = await liveTests("jupyterhub");
const two = await liveTests("jupyterhub", "accounts");
const people = whyNoAccounts === undefined ? "each of two people" : `one person: ${whyNoAccounts}`;

/** The hub asks the servers of this file at any time: one test opens what another one sees end. */
const SHARED = { sanitizeOps: false, sanitizeResources: false };
const test = (name: string, fn: () => Promise<void>) => live.test(name, SHARED, fn);

const stack = new AsyncDisposableStack();
live.afterAll(() => stack.disposeAsync());

const world = await live.shared(async () =>
  stack.use(
    await startHubWorld({
      recipe: "file.py",
      async prepare(folder, users) {
        await addPythonModules(folder, LIBRARY);
        // As useradd makes homes on many systems.
        for (const { home } of users) await Deno.chmod(home, 0o755);
        return {};
      },
    }),
  )
);

function kernelOf(index: number, name: KernelName = "deno"): Promise<HubKernel> {
  return world.hub.robot.findKernel(world.users[index]!.name, name);
}

/** The same, where the person has signed in. */
async function signedIn(index: number): Promise<HubKernel> {
  const user = world.users[index]!;
  const kernel = await kernelOf(index);
  if (!await isThere(`${user.home}/.validmind/credentials.json`)) {
    await signInFrom(kernel, world, user);
  }
  return kernel;
}

/** What becomes of each attempt of the second person. */
async function secondTries(attempts: string[]): Promise<string[]> {
  const list = attempts.map((attempt) => `() => ${attempt}`).join();
  await using kernel = await kernelOf(1);
  return await kernel.evaluate(`
    const told = [];
    for (const attempt of [${list}]) {
      told.push(await attempt().then(() => "done", (error) => error.name));
    }
    return told;`);
}

live.test(`JupyterHub: by the recipe for a file, in Chromium (${people})`, SHARED, async (t) => {
  await using browser = await startChromium();
  for (const [index, user] of world.users.entries()) {
    for (const { title, run } of hubStory(world, browser, user)) {
      if (!await t.step(`person ${index + 1} ${title}`, run)) return;
    }
  }
});

two.test(
  "JupyterHub, file: a person's tokens and notebooks are the person's alone, by mode and owner",
  SHARED,
  async () => {
    const { home, uid } = world.users[0]!;
    await using _ = await signedIn(0);
    const modeOf = async (path: string) => {
      const { mode, uid } = await Deno.stat(path);
      return [uid, (mode! & 0o777).toString(8)];
    };
    assertEquals(await modeOf(home), [uid, "700"], "useradd had made it 0755");
    assertEquals(await modeOf(`${home}/.validmind`), [uid, "700"]);
    assertEquals(await modeOf(`${home}/.validmind/credentials.json`), [uid, "600"]);
    const files = [".validmind/credentials.json", "quickstart.ipynb", ".bashrc"];
    const told = await secondTries([
      ...files.map((file) => `Deno.readTextFile("${home}/${file}")`),
      `Array.fromAsync(Deno.readDir("${home}"))`,
      `Deno.writeTextFile("${home}/.validmind/credentials.json", "{}")`,
    ]);
    assertEquals(told, Array.from({ length: files.length + 2 }, () => "PermissionDenied"));
  },
);

test("JupyterHub, file: no token is in a notebook, a log, a server's file or a process's arguments", async () => {
  for (const index of world.users.keys()) await (await signedIn(index))[Symbol.asyncDispose]();
  const except = world.users.map(({ home }) => `${home}/.validmind/credentials.json`);
  const found = await searchForSecrets(world, { except });
  const { notebooks, connections, logs, databases, processes } = found;
  assertEquals(Math.min(notebooks, connections, logs, databases, processes) > 0, true);
  // The search does find a token that is there.
  const [user] = world.users;
  const { credentials } = JSON.parse(await Deno.readTextFile(except[0]!));
  const [{ access_token }] = Object.values(credentials) as [{ access_token: string }];
  await world.write(user!, "planted.ipynb", `{"cells": ["${access_token}"]}`);
  await assertRejects(() => searchForSecrets(world, { except }), Error, "planted.ipynb");
  await Deno.remove(`${user!.home}/planted.ipynb`);
});

test("JupyterHub, file: a sign-in and a refresh in one language serve the other", async () => {
  const [user] = world.users;
  await using deno = await signedIn(0);
  await using python = await kernelOf(0, "python3");
  const both = new BothLanguages(world, user!, deno, python);
  await both.shareSignIn();
});
