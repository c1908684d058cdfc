import type { Browser, Page } from "playwright-core";
import { type LabPage, openLab } from "../../notebooks/lab_page.ts";
import { START_MS } from "./hub_robot.ts";
import type { HubWorld } from "./hub_world.ts";
import type { UnixUser } from "./unix_users.ts";

/** A person of the hub with a browser of their own. */
export class HubPerson {
  private constructor(readonly world: HubWorld, readonly user: UnixUser, readonly lab: LabPage) {}

  /** Opens a window and signs in to the hub, which starts the person's server. */
  static async signIn(world: HubWorld, browser: Browser, user: UnixUser): Promise<HubPerson> {
    const person = new HubPerson(world, user, await openLab(browser));
    const { page } = person.lab;
    page.setDefaultTimeout(START_MS);
    await page.goto(`${world.hub.origin}/hub/login?next=%2Fhub%2Fspawn`);
    await page.locator("#username_input").fill(user.name);
    await page.locator("#password_input").fill(user.password);
    await page.locator("#login_submit").click();
    await page.waitForURL(/\/user\/[^/]+\/lab/);
    return person;
  }

  /** Opens a notebook of the person's home, without what was open before. */
  async open(notebook: string): Promise<void> {
    const { hub: { origin } } = this.world;
    await this.lab.open(`${origin}/user/${this.user.name}/lab/tree/${notebook}?reset`);
  }

  /** Runs the cell that signs in, and approves the code in it. */
  async signInByDevice(index: number): Promise<void> {
    const { provider, loginOf } = this.world;
    await this.lab.run(index);
    const output = this.lab.output(index).locator(".vm-auth");
    await output.locator(".vm-auth-wait").waitFor();
    const [code] = /[A-Z]{4}-[A-Z]{4}/.exec(await output.innerText())!;
    await provider.approve(code, { login: loginOf(this.user) });
    await this.waitForSignedIn(index);
  }

  /** Follows the link in a cell's output in a tab of its own, and approves; gives the tab. */
  async signInByBrowser(index: number): Promise<Page> {
    const { page } = this.lab;
    await this.lab.run(index);
    const link = this.lab.output(index).locator(".vm-auth a").first();
    await link.waitFor();
    const opened = page.context().waitForEvent("page");
    await link.click();
    const tab = await opened;
    await tab.locator("input[name=login]").fill(this.world.loginOf(this.user));
    await tab.locator("input[name=password]").fill("any");
    await tab.getByRole("button", { name: "Sign-in" }).click();
    await tab.getByRole("button", { name: "Continue" }).click();
    await tab.getByRole("heading", { name: "Your answer has arrived" }).waitFor();
    await this.waitForSignedIn(index);
    return tab;
  }

  /** Waits until a cell shows that this person is signed in. */
  async waitForSignedIn(index: number): Promise<void> {
    const hasText = `Signed in as ${this.world.loginOf(this.user)}`;
    await this.lab.output(index).filter({ hasText }).first().waitFor();
  }

  /** Restarts the kernel by the button of the notebook. */
  async restartKernel(): Promise<void> {
    const { page } = this.lab;
    await page.getByRole("button", { name: "Restart the kernel", exact: true }).click();
    await page.locator(".jp-Dialog .jp-mod-accept").click();
    await page.getByText("Deno | Idle").waitFor();
  }
}
