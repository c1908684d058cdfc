import type { Browser } from "playwright-core";
import { assertEquals } from "@std/assert";
import { codeCells } from "../../support/jupyter.ts";
import { quickstart } from "../../notebooks/notebook_world.ts";
import { HubPerson } from "./hub_person.ts";
import type { HubWorld } from "./hub_world.ts";
import type { UnixUser } from "./unix_users.ts";

/** A notebook whose sign-in comes back by the hub's own address. */
const BROWSER_CELL =
  `import * as vm from "jsr:@validmind/auth";\nconst session = await vm.init({ flow: "browser" });`;

/** Something that a person does on the hub, and that has to go well. */
export interface HubStep {
  title: string;
  run(): Promise<void>;
}

/** A day of a person on the hub, in Chromium. */
export function hubStory(world: HubWorld, browser: Browser, user: UnixUser): HubStep[] {
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
        await world.write(user, "quickstart.ipynb", JSON.stringify(await quickstart()));
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
