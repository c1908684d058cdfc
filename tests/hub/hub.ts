// deno-lint-ignore-file no-console
/**
 * Starts a JupyterHub on this machine, and has each of its people sign in, in Chromium:
 * `deno task hub`. With `--keep` it runs on afterwards, and tells what to open.
 */
import { startChromium } from "../support/chromium.ts";
import { whyNoAccounts } from "../support/run_denied.ts";
import { JUPYTERHUB_VENV } from "../support/servers/jupyterhub.ts";
import { pythonOf } from "../support/servers/python_venv.ts";
import { hubStory } from "./hub_story.ts";
import { type HubWorld, startHubWorld } from "./hub_world.ts";

const USAGE = "Usage: deno task hub [--keep]";

/** Goes through the story of each person. */
async function tellStories(world: HubWorld): Promise<void> {
  await using browser = await startChromium();
  for (const user of world.users) {
    for (const { title, run } of hubStory(world, browser, user)) {
      const start = performance.now();
      await run();
      console.log(`${user.name} ${title} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
    }
  }
}

/** Waits until the person at the terminal has seen enough. */
async function keep({ hub, users, provider }: HubWorld): Promise<void> {
  console.log(`\nThe hub runs on. Open ${hub.origin}/ as`);
  for (const { name, password } of users) console.log(`  ${name}, password ${password}`);
  console.log(`and quickstart.ipynb in it. Approve at ${provider.issuer}/device as anybody.`);
  console.log(`What the hub says is in ${hub.log}. Ctrl+C ends all of it.`);
  const interrupt = Promise.withResolvers<void>();
  Deno.addSignalListener("SIGINT", interrupt.resolve);
  await interrupt.promise;
  Deno.removeSignalListener("SIGINT", interrupt.resolve);
}

async function main(args: readonly string[]): Promise<number> {
  const isKept = args.includes("--keep");
  if (args.some((arg) => arg !== "--keep")) {
    console.error(USAGE);
    return 2;
  }
  if (await pythonOf(JUPYTERHUB_VENV) === undefined) {
    console.error("Cannot start the hub: it is not there. Run `deno task servers`.");
    return 1;
  }
  if (whyNoAccounts !== undefined) console.log(`One person instead of two: ${whyNoAccounts}.`);
  await using world = await startHubWorld({ recipe: "file.py" });
  await tellStories(world);
  if (isKept) await keep(world);
  return 0;
}

if (import.meta.main) Deno.exitCode = await main(Deno.args);
