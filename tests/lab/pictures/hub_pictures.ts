import type { Browser } from "playwright-core";
import { HubPerson } from "../../live/hub/hub_person.ts";
import { startHubWorld } from "../../live/hub/hub_world.ts";
import { quickstart } from "../../notebooks/notebook_world.ts";
import { renamedIn } from "../../support/in_page.js";

/** Options of {@linkcode hubPictures}. */
export interface HubPicturesOptions {
  /** The name of the provider on the pictures. */
  issuer: string;
  /** The file of a picture. */
  fileOf(name: string): string;
}

/** On a JupyterHub that keeps tokens in a file: the first start, and one after a stop of the server. */
export async function hubPictures(browser: Browser, options: HubPicturesOptions): Promise<void> {
  await using world = await startHubWorld({ recipe: "file.py" });
  const [user] = world.users;
  await world.write(user!, "quickstart.ipynb", JSON.stringify(await quickstart()));
  const person = await HubPerson.signIn(world, browser, user!);
  const { lab } = person;
  await lab.page.setViewportSize({ width: 960, height: 600 });
  const take = async (name: string) => {
    const pairs = [
      [world.provider.issuer, options.issuer],
      [world.loginOf(user!), "ada"],
      [user!.home, "/home/ada"],
      [user!.name, "ada"],
    ];
    await lab.page.evaluate(renamedIn, pairs);
    await lab.page.mouse.move(0, 0);
    await lab.page.locator(".jp-NotebookPanel").screenshot({ path: options.fileOf(name) });
  };
  await person.open("quickstart.ipynb");
  await lab.run(0);
  const output = lab.output(0).locator(".vm-auth");
  await output.locator(".vm-auth-wait").waitFor();
  const [code] = /[A-Z]{4}-[A-Z]{4}/.exec(await output.innerText())!;
  await take("hub.png");
  await world.provider.approve(code, { login: world.loginOf(user!) });
  await person.waitForSignedIn(0);
  const { robot } = world.hub;
  await robot.stopServer(user!.name);
  await robot.startServer(user!.name);
  await person.open("quickstart.ipynb");
  await lab.run(0);
  await lab.page.getByText("[1]:").waitFor();
  await person.waitForSignedIn(0);
  await take("hub-again.png");
}
