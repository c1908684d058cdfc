import { assertEquals, assertStringIncludes } from "@std/assert";
import { type CliWorld, cliWorld } from "../cli_world.ts";

interface Check {
  readonly check: string;
  readonly result: string;
  readonly message: string;
  readonly advice?: string;
}

/** The line about the place of the tokens, as `doctor` shows it to `ada` on a hub. */
async function place(world: CliWorld, env: Record<string, string> = {}): Promise<string> {
  const { stdout } = await world.run(["doctor", "--json"], {
    env: { JUPYTERHUB_USER: "ada", ...env },
  });
  const checks: Check[] = JSON.parse(stdout).checks;
  return checks.filter(({ check }) => check === "hub: place")
    .map(({ result, message, advice }) => [result, message, advice ?? []].flat().join(" | "))
    .join("\n");
}

Deno.test("doctor on a hub: whether the place of the tokens is the person's own", async () => {
  await using world = await cliWorld();
  const at = (path: string) =>
    place(world, {
      HOME: `${world.home}/ada-home`,
      VM_OIDC_DENO_CREDENTIALS_BACKEND: "file",
      VM_OIDC_DENO_CREDENTIALS_BACKEND_KWARGS: JSON.stringify({ path }),
    });
  assertEquals(await place(world), `ok | ${world.home}/.validmind is in your home`);
  assertStringIncludes(await at(`${world.home}/shared/ada/c.json`), "ok | ");
  const shared = await at(`${world.home}/shared/c.json`);
  assertStringIncludes(shared, "warning | ");
  assertStringIncludes(shared, "is the same place for everybody on this hub");
  assertStringIncludes(shared, "put ${JUPYTERHUB_USER} into its path");
  assertStringIncludes(await at(`${world.home}/shared/adam/c.json`), "the same place");
  assertEquals(await place(world, { VM_OIDC_NO_PERSIST: "1" }), "");
  assertEquals(await place(world, { JUPYTERHUB_USER: "" }), "");
});
