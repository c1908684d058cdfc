import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { DENO, runProcess } from "../../../support/deno_process.ts";
import { CLI, type CliWorld, cliWorld } from "../cli_world.ts";

const ignore = Deno.build.os !== "linux";
const CONFIG = new URL("../../../../deno.json", import.meta.url).pathname;
const SECRET = "t0ken-of-the-hub";

interface Check {
  readonly check: string;
  readonly result: string;
  readonly message: string;
  readonly advice?: string;
}

/**
 * Runs `doctor` as in a terminal of a hub: a shell has the variables that the hub has set, and runs it
 * with those of `before` in front.
 */
async function inTerminal(
  world: CliWorld,
  hub: Record<string, string> = {},
  before = "",
  flags = "-A --unstable-kv",
): Promise<Check[]> {
  const doctor = `${DENO} run ${flags} --quiet --config=${CONFIG} ${CLI} doctor --json`;
  const { stdout, stderr } = await runProcess(["/bin/sh", "-c", `${before} ${doctor}; exit $?`], {
    cwd: world.home,
    env: {
      ...world.env,
      JUPYTERHUB_USER: "ada",
      JUPYTERHUB_API_TOKEN: SECRET,
      JUPYTER_DATA_DIR: `${world.home}/jupyter`,
      JUPYTER_PATH: "",
      VIRTUAL_ENV: "",
      CONDA_PREFIX: "",
      ...hub,
    },
  });
  assert(stdout !== "", stderr);
  assert(!stdout.includes(SECRET), stdout);
  return JSON.parse(stdout).checks;
}

function linesOf(checks: readonly Check[], wanted: string): string[] {
  return checks.filter(({ check }) => check === wanted)
    .map(({ result, message, advice }) => [result, message, advice ?? []].flat().join(" | "));
}

Deno.test({
  name: "doctor on a hub: the variables that the hub has set, and those of this shell alone",
  ignore,
  fn: async () => {
    await using world = await cliWorld();
    const hub = {
      VM_OIDC_DENO_CREDENTIALS_BACKEND: "file",
      VM_OIDC_SCOPE: "openid offline_access",
    };
    const checks = await inTerminal(world, hub);
    assertEquals(linesOf(checks, "hub"), [
      "ok | JupyterHub, as ada; the hub has set VM_OIDC_CLIENT_ID, " +
      "VM_OIDC_DENO_CREDENTIALS_BACKEND, VM_OIDC_ISSUER, VM_OIDC_SCOPE",
    ]);
    assertStringIncludes(
      linesOf(checks, "backend")[0]!,
      "file, since VM_OIDC_DENO_CREDENTIALS_BACKEND names it",
    );
    assertStringIncludes(linesOf(checks, "hub: yours")[0]!, "c.Spawner.environment");
    const other = await inTerminal(world, hub, "VM_OIDC_SCOPE=openid VM_OIDC_PROFILE=two");
    const [, changed = "", own = ""] = linesOf(other, "hub");
    assertStringIncludes(changed, "warning | set otherwise than by the hub: VM_OIDC_SCOPE;");
    assertStringIncludes(own, "warning | set in this shell alone: VM_OIDC_PROFILE;");
    // Without every permission Deno shows no other process.
    const narrow = await inTerminal(
      world,
      hub,
      "",
      "--allow-env --allow-read --allow-net --allow-write",
    );
    assertStringIncludes(
      linesOf(narrow, "hub")[0]!,
      "skipped | JupyterHub, as ada: which variables",
    );
  },
});

Deno.test({
  name: "doctor on a hub: whether the place of the tokens is the person's own, and the home closed",
  ignore,
  fn: async () => {
    await using world = await cliWorld();
    const kwargs = "VM_OIDC_DENO_CREDENTIALS_BACKEND_KWARGS";
    const file = (path: string) => ({
      VM_OIDC_DENO_CREDENTIALS_BACKEND: "file",
      [kwargs]: JSON.stringify({ path }),
    });
    await Deno.chmod(world.home, 0o700);
    const own = await inTerminal(world);
    assertEquals(linesOf(own, "hub: place"), [`ok | ${world.home}/.validmind is in your home`]);
    assertEquals(linesOf(own, "hub: home"), []);
    await Deno.chmod(world.home, 0o755);
    const place = async (path: string) => {
      const checks = await inTerminal(world, { ...file(path), HOME: `${world.home}/ada-home` });
      return linesOf(checks, "hub: place")[0]!;
    };
    assertStringIncludes(await place(`${world.home}/shared/ada/c.json`), "ok | ");
    const shared = await place(`${world.home}/shared/c.json`);
    assertStringIncludes(shared, "is the same place for everybody on this hub");
    assertStringIncludes(shared, "put ${JUPYTERHUB_USER} into its path");
    assertStringIncludes(await place(`${world.home}/shared/adam/c.json`), "the same place");
    const [open = ""] = linesOf(await inTerminal(world), "hub: home");
    assertStringIncludes(open, `warning | others can look into ${world.home} (0755)`);
    assertStringIncludes(open, `chmod 700 ${world.home}`);
  },
});

Deno.test({
  name: "doctor on a hub: the Deno kernels, and one that cannot start",
  ignore,
  fn: async () => {
    await using world = await cliWorld();
    const kernels = `${world.home}/jupyter/kernels`;
    const none = await inTerminal(world);
    const others = linesOf(none, "hub: kernel").filter((line) => line.includes(world.home));
    assertEquals(others, []);
    const env = { JUPYTER_DATA_DIR: `${world.home}/jupyter` };
    const install = ["jupyter", "install", "--narrow", "--env", "VM_OIDC_SCOPE=openid"];
    assertEquals((await world.run(install, { env })).code, 0);
    const broken = {
      "deno": { argv: ["/nowhere/deno", "jupyter", "--kernel"], display_name: "Deno" },
      "python": { argv: ["python3", "-m", "ipykernel_launcher"], display_name: "Python" },
      "odd": { argv: 5 },
    };
    for (const [name, spec] of Object.entries(broken)) {
      await Deno.mkdir(`${kernels}/${name}`, { recursive: true });
      await Deno.writeTextFile(`${kernels}/${name}/kernel.json`, JSON.stringify(spec));
    }
    await Deno.mkdir(`${kernels}/empty`);
    const found = linesOf(await inTerminal(world), "hub: kernel")
      .filter((line) => line.includes(world.home)).sort();
    assertEquals(found, [
      `ok | "Deno (narrow)" (narrow): ${kernels}/deno-narrow/kernel.json, with its own ` +
      "VM_OIDC_SCOPE",
      `warning | "Deno" (by deno jupyter --install): ${kernels}/deno/kernel.json: /nowhere/deno is ` +
      "not there | Run validmind-auth jupyter install --replace",
    ]);
  },
});

Deno.test({
  name: "doctor elsewhere: says nothing of a hub",
  ignore,
  fn: async () => {
    await using world = await cliWorld();
    const checks = await inTerminal(world, { JUPYTERHUB_USER: "" });
    assertEquals(checks.filter(({ check }) => check.startsWith("hub")), []);
  },
});
