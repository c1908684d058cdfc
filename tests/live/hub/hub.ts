// deno-lint-ignore-file no-console
/**
 * Starts a JupyterHub on this machine, and has each of its people sign in, in Chromium:
 * `deno task hub`. With `--keep` it runs on afterwards, and tells what to open.
 */
import { startChromium } from "../../support/chromium.ts";
import { whyNoAccounts } from "../../support/run_denied.ts";
import { hasServer } from "../../support/servers/servers.ts";
import { hubStory } from "./hub_story.ts";
import { placesForVault, startHubVault } from "./hub_vault.ts";
import { type HubWorld, startHubWorld } from "./hub_world.ts";

const USAGE = "Usage: deno task hub [file|vault] [--keep]";
const RECIPES = ["file", "vault"];
/** As a shell has it for SIGINT. */
const INTERRUPTED = 130;

async function startWorld(recipe: string, stack: AsyncDisposableStack): Promise<HubWorld> {
  if (recipe === "file") return stack.use(await startHubWorld({ recipe: "file.py" }));
  const known = await startHubVault();
  stack.use(known.vault);
  return stack.use(
    await startHubWorld({
      recipe: "vault.py",
      prepare: (folder) => placesForVault(folder, known),
    }),
  );
}

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

/** Tells the person at the terminal what to open. */
function tellPlaces({ hub, users, provider }: HubWorld, recipe: string): void {
  console.log(`\nThe hub runs on, with tokens by the recipe for ${recipe}. Open ${hub.origin}/ as`);
  for (const { name, password } of users) console.log(`  ${name}, password ${password}`);
  console.log(`and quickstart.ipynb in it. Approve at ${provider.issuer}/device as anybody.`);
  console.log(`What the hub says is in ${hub.log}. Ctrl+C ends all of it.`);
}

async function main(args: readonly string[]): Promise<number> {
  const isKept = args.includes("--keep");
  const [recipe = "vault", ...rest] = args.filter((arg) => arg !== "--keep");
  if (rest.length > 0 || !RECIPES.includes(recipe)) {
    console.error(USAGE);
    return 2;
  }
  const isMade = await hasServer("jupyterhub") &&
    (recipe === "file" || await hasServer("vault"));
  if (!isMade) {
    console.error("Cannot start the hub: it is not there. Run `deno task servers`.");
    return 1;
  }
  if (whyNoAccounts !== undefined) console.log(`One person instead of two: ${whyNoAccounts}.`);
  const interrupt = Promise.withResolvers<number>();
  // Else the accounts and their homes would stay until the next run.
  Deno.addSignalListener("SIGINT", () => interrupt.resolve(INTERRUPTED));
  await using stack = new AsyncDisposableStack();
  const world = await startWorld(recipe, stack);
  const code = await Promise.race([tellStories(world).then(() => 0), interrupt.promise]);
  if (code !== 0 || !isKept) return code;
  tellPlaces(world, recipe);
  await interrupt.promise;
  return 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
