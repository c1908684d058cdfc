import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import type { Browser } from "playwright-core";
import { quickstart } from "../../notebooks/notebook_world.ts";
import { pageFences } from "../../readme_reader.ts";
import { startChromium } from "../../support/chromium.ts";
import { codeCells } from "../../support/jupyter.ts";
import { isThere } from "../../support/servers/servers.ts";
import { addPythonModules, BothLanguages } from "./both_languages.ts";
import type { HubKernel } from "./hub_kernel.ts";
import { signInFrom } from "./hub_notebook.ts";
import type { KernelName } from "./hub_robot.ts";
import { HubPerson } from "./hub_person.ts";
import { hubTests, startHubWorld } from "./hub_world.ts";
import { searchForSecrets } from "./search_machine.ts";
import type { UnixUser } from "./unix_users.ts";

const LIBRARY = new URL("../../support/validmind_library.py", import.meta.url);

const { test, shared, stack } = await hubTests();

const world = await shared(async () => {
  let settings = "";
  const started = stack.use(
    await startHubWorld({
      recipe: "file.py",
      async prepare(folder, users) {
        await addPythonModules(folder, LIBRARY);
        // As useradd makes homes on many systems.
        for (const { home } of users) await Deno.chmod(home, 0o755);
        settings = `${folder.path}/settings.json`;
        return { environment: { VM_AUTH_CONFIG: settings } };
      },
    }),
  );
  await Deno.writeTextFile(settings, await settingsOfPage(started.provider), { mode: 0o644 });
  return { ...started, settings };
});

/** The file of the page's administrator, for this provider and store. */
async function settingsOfPage({ issuer, clientId }: Record<"issuer" | "clientId", string>) {
  const fences = await pageFences("client/hubs.md");
  const { text } = fences.find(({ heading, language }) =>
    heading === "One store for all" && language === "json"
  )!;
  return text.replaceAll("https://login.example.com", issuer).replace("my-client", clientId)
    .replace("vault", "file");
}

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

/** A notebook whose sign-in comes back by the hub's own address. */
const BROWSER_CELL =
  `import * as vm from "jsr:@validmind/auth";\nconst session = await vm.init({ flow: "browser" });`;

/** As the last words of the quick start say. */
const SIGN_OUT_CELL = "await vm.clearOidcCredentials({ revoke: true });";

/** A day of a person on the hub, in Chromium. */
function hubStory(browser: Browser, user: UnixUser) {
  const { hub: { robot }, provider } = world;
  let person: HubPerson;
  const lab = () => person.lab;
  /** Runs the first cell again in a new kernel: the stored token has to do. */
  const isAskedNothing = async () => {
    provider.reset();
    await lab().run(0);
    await lab().page.getByText("[1]:").waitFor();
    await person.waitForSignedIn(0);
    assertEquals(provider.requests, [], "the provider was asked");
  };
  return [
    {
      title: "signs in to the hub and opens the quickstart notebook",
      async run() {
        const stored = `${user.home}/.validmind/credentials.json`; // of another test
        if (await isThere(stored)) await Deno.remove(stored);
        const notebook = await quickstart();
        notebook.cells.push(...codeCells(SIGN_OUT_CELL).cells);
        await world.write(user, "quickstart.ipynb", JSON.stringify(notebook));
        await world.write(user, "browser.ipynb", JSON.stringify(codeCells(BROWSER_CELL)));
        person = await HubPerson.signIn(world, browser, user);
        await person.open("quickstart.ipynb");
      },
    },
    {
      title: "runs it, approves the code, and sees who is signed in",
      async run() {
        await person.signInByDevice(0);
        await lab().run(1);
        await lab().output(1).filter({ hasText: "model" }).first().waitFor();
        await lab().run(2);
        await lab().output(2).filter({ hasText: "signedIn" }).first().waitFor();
        await lab().save();
      },
    },
    {
      title: "restarts the kernel, and is not asked again",
      async run() {
        await person.restartKernel();
        await isAskedNothing();
      },
    },
    {
      title: "stops the server, starts it, and is not asked again",
      async run() {
        await robot.stopServer(user.name);
        await robot.startServer(user.name);
        await person.open("quickstart.ipynb");
        await isAskedNothing();
      },
    },
    {
      title: "signs out, and signs in by the browser, which comes back through the hub",
      async run() {
        await lab().run(3);
        await lab().output(3).filter({ hasText: "revoked" }).first().waitFor();
        await person.open("browser.ipynb");
        const tab = await person.signInByBrowser(0);
        const { pathname } = new URL(tab.url());
        assertEquals(pathname.replace(/\d+\/callback$/, ""), `/user/${user.name}/proxy/`);
        await lab().page.context().close();
      },
    },
  ];
}

test("JupyterHub: by the recipe for a file, in Chromium", async (t) => {
  await using browser = await startChromium();
  for (const [index, user] of world.users.entries()) {
    for (const { title, run } of hubStory(browser, user)) {
      if (!await t.step(`person ${index + 1} ${title}`, run)) return;
    }
  }
});

test("JupyterHub, file: the administrator's settings refuse another store and issuer, by the file's name", async () => {
  await using kernel = await signedIn(0);
  const told = await kernel.evaluate<[code: string, message: string][]>(`
    const vm = await import("jsr:@validmind/auth");
    const calls = [
      {},
      { credentialsBackend: new vm.MemoryCredentialsBackend() },
      { issuer: "https://other.example.com", clientId: "other" },
    ];
    return await Promise.all(calls.map((options) => vm.createSession({ interactive: false, ...options })
      .then(() => ["signed in"], ({ code, message }) => [code, message])));`);
  const refused = "refused_by_settings";
  assertEquals(told.map(([code]) => code), ["signed in", refused, refused]);
  for (const [, message] of told.slice(1)) assertStringIncludes(message, world.settings);
});

test("JupyterHub, file: a person's tokens and notebooks are the person's alone, by mode and owner", async () => {
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
  await using neighbour = await kernelOf(1);
  const told = await neighbour.outcomes(
    ...files.map((file) => `Deno.readTextFile("${home}/${file}")`),
    `Array.fromAsync(Deno.readDir("${home}"))`,
    `Deno.writeTextFile("${home}/.validmind/credentials.json", "{}")`,
  );
  assertEquals(told, Array.from({ length: files.length + 2 }, () => "PermissionDenied"));
});

test("JupyterHub, file: no token is in a notebook, a log, a server's file or a process's arguments", async () => {
  for (const index of world.users.keys()) await (await signedIn(index))[Symbol.asyncDispose]();
  const except = world.users.map(({ home }) => `${home}/.validmind/credentials.json`);
  await searchForSecrets(world, { except });
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
