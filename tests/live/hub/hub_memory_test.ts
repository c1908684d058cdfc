import { assert, assertEquals, assertRejects } from "@std/assert";
import { makeLocalCa } from "../../support/local_ca.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { signInFrom } from "./hub_notebook.ts";
import { startHubWorld } from "./hub_world.ts";
import { searchForSecrets } from "./search_machine.ts";

const live = await liveTests("jupyterhub");

live.test("JupyterHub, memory: each kernel asks, and no token is on the disk", async () => {
  const ca = await makeLocalCa();
  await using world = await startHubWorld({
    recipe: "memory.py",
    people: 1,
    async prepare({ path }) {
      const file = `${path}/company.pem`;
      await Deno.writeTextFile(file, ca.cert);
      return { env: { DENO_CERT: file } };
    },
  });
  const { hub: { robot }, users: [user] } = world;
  await robot.startServer(user!.name);
  for (let kernels = 0; kernels < 2; kernels++) {
    await using kernel = await robot.startKernel(user!.name, "deno");
    await signInFrom(kernel, world, user!);
    // The hub keeps its own variables from kernels, unless its configuration names them.
    assertEquals(await kernel.evaluate(`return Deno.env.has("DENO_CERT");`), false);
  }
  await assertRejects(() => Deno.stat(`${user!.home}/.validmind`), Deno.errors.NotFound);
  const { connections, logs } = await searchForSecrets(world);
  assert(connections > 0 && logs > 0);
});
