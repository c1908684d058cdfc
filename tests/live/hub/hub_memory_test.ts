import { assertRejects } from "@std/assert";
import { liveTests } from "../../support/servers/live_tests.ts";
import { signInFrom } from "./hub_notebook.ts";
import { startHubWorld } from "./hub_world.ts";
import { searchForSecrets } from "./search_machine.ts";

const live = await liveTests("jupyterhub", "accounts");

live.test("JupyterHub, memory: each kernel asks, and no token is on the disk", async () => {
  await using world = await startHubWorld({ recipe: "memory.py" });
  const { hub: { robot }, users: [user] } = world;
  await robot.startServer(user!.name);
  for (let kernels = 0; kernels < 2; kernels++) {
    await using kernel = await robot.startKernel(user!.name, "deno");
    await signInFrom(kernel, world, user!);
  }
  await assertRejects(() => Deno.stat(`${user!.home}/.validmind`), Deno.errors.NotFound);
  await searchForSecrets(world);
});
