import { startChromium } from "../support/chromium.ts";
import { whyNoAccounts } from "../support/run_denied.ts";
import { liveTests } from "../support/servers/live_tests.ts";
import { hubStory } from "./hub_story.ts";
import { startHubWorld } from "./hub_world.ts";

const live = await liveTests("jupyterhub");

const people = whyNoAccounts === undefined ? "each of two people" : `one person: ${whyNoAccounts}`;

live.test(`JupyterHub: by the recipe for a file, in Chromium (${people})`, async (t) => {
  await using world = await startHubWorld({ recipe: "file.py" });
  await using browser = await startChromium();
  for (const [index, user] of world.users.entries()) {
    for (const { title, run } of hubStory(world, browser, user)) {
      if (!await t.step(`person ${index + 1} ${title}`, run)) return;
    }
  }
});
