import { assertEquals, assertRejects } from "@std/assert";
import { pageFences } from "../../readme_reader.ts";
import { mustRun } from "../../support/deno_process.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { addPythonModules, BothLanguages } from "./both_languages.ts";
import type { HubKernel } from "./hub_kernel.ts";
import { signInFrom } from "./hub_notebook.ts";
import { placesForVault, startHubVault } from "./hub_vault.ts";
import { startHubWorld } from "./hub_world.ts";
import { searchForSecrets } from "./search_machine.ts";

const LIBRARY = new URL("../../support/validmind_library.py", import.meta.url);
const PYTHON_BACKEND = new URL("./recipes/validmind_vault.py", import.meta.url);
const ROUNDS = 10;

const live = await liveTests("jupyterhub", "accounts", "vault");

/** The hub asks the servers of this file at any time: one test opens what another one sees end. */
const SHARED = { sanitizeOps: false, sanitizeResources: false };
const test = (name: string, fn: () => Promise<void>) => live.test(name, SHARED, fn);

const stack = new AsyncDisposableStack();
live.afterAll(() => stack.disposeAsync());

/** Two people, each with a kernel, signed in by the recipe for Vault. */
const { world, kernels, vault, name } = await live.shared(async () => {
  const known = await startHubVault();
  stack.use(known.vault);
  const world = stack.use(
    await startHubWorld({
      recipe: "vault.py",
      async prepare(folder) {
        await addPythonModules(folder, LIBRARY, PYTHON_BACKEND);
        return await placesForVault(folder, known);
      },
    }),
  );
  const kernels: HubKernel[] = [];
  for (const user of world.users) {
    await world.hub.robot.startServer(user.name);
    const kernel = stack.use(await world.hub.robot.startKernel(user.name, "deno"));
    await signInFrom(kernel, world, user);
    kernels.push(kernel);
  }
  const page = await pageFences("backends/README.md");
  const hash = page.find(({ text }) => text.includes("| sha256sum"))!.text
    .replace("<issuer>", world.provider.issuer).replace("<client id>", world.provider.clientId);
  const [name] = (await mustRun(["sh", "-c", hash])).split(" ");
  return { world, kernels, vault: known.vault, name };
});

/** What Vault says to the second person, who logs in with all that the hub gave. */
const asSecond = (method: string, path: string) => `
  const { VAULT_ADDR, VM_OIDC_DENO_CREDENTIALS_BACKEND_KWARGS, JUPYTERHUB_USER } = Deno.env.toObject();
  const kwargs = VM_OIDC_DENO_CREDENTIALS_BACKEND_KWARGS.replaceAll("\${JUPYTERHUB_USER}", JUPYTERHUB_USER);
  const jwt = await Deno.readTextFile(JSON.parse(kwargs).auth.jwtFile);
  const login = await fetch(VAULT_ADDR + "/v1/auth/jwt/login", {
    method: "POST", body: JSON.stringify({ role: "notebooks", jwt }),
  });
  const token = (await login.json()).auth.client_token;
  const answer = await fetch(VAULT_ADDR + "/v1/${path}", {
    method: "${method}", headers: { "X-Vault-Token": token },
  });
  await answer.body?.cancel();
  return answer.status;`;

test("JupyterHub, Vault: each person's sign-in is in the person's own folder", async () => {
  for (const user of world.users) {
    const { status, body } = await vault.request("GET", `secret/data/users/${user.name}/${name}`);
    assertEquals(status, 200);
    const entry = JSON.parse(body.data.data.entry);
    assertEquals(await world.provider.isActive(entry.access_token), true);
    await assertRejects(() => Deno.stat(`${user.home}/.validmind`), Deno.errors.NotFound);
  }
});

test("JupyterHub, Vault: a person's login reads no entry of another: 403 by the policy", async () => {
  const [first, second] = world.users;
  const own = asSecond("GET", `secret/data/users/${second!.name}/${name}`);
  assertEquals(await kernels[1]!.evaluate(own), 200);
  for (const kind of ["data", "metadata"]) {
    const path = `secret/${kind}/users/${first!.name}/${name}`;
    assertEquals(await kernels[1]!.evaluate(asSecond("GET", path)), 403, kind);
    assertEquals(await kernels[1]!.evaluate(asSecond("DELETE", path)), 403, kind);
  }
  for (const folder of ["users/", `users/${first!.name}/`]) {
    const path = `secret/metadata/${folder}?list=true`;
    assertEquals(await kernels[1]!.evaluate(asSecond("GET", path)), 403, folder);
  }
});

test("JupyterHub, Vault: the login of another person is a file that only that person reads", async () => {
  const [first, second] = world.users;
  const folder = `${world.folder.path}/logins`;
  const { uid, mode } = await Deno.stat(`${folder}/${first!.name}`);
  assertEquals([uid, mode! & 0o777], [first!.uid, 0o400]);
  const tries = `${folder}/${first!.name}`;
  const error = await kernels[1]!.evaluate(`
  const told = [];
  const attempt = async (fn) => told.push(await fn().then(() => "done", (error) => error.name));
  await attempt(() => Deno.readTextFile(${JSON.stringify(tries)}));
  await attempt(() => Deno.symlink("/etc/passwd", ${JSON.stringify(`${folder}/someone`)}));
  await attempt(() => Deno.remove(${JSON.stringify(`${folder}/${second!.name}`)}));
  return told;`);
  assertEquals(error, ["PermissionDenied", "PermissionDenied", "PermissionDenied"]);
});

test("JupyterHub, Vault: a sign-in in one language serves the other, and both refresh at once", async () => {
  const [user] = world.users;
  await using python = await world.hub.robot.startKernel(user!.name, "python3");
  await python.evaluate(
    "import validmind_library, validmind_vault\nvalidmind_vault.install()\nvalue = None",
  );
  const both = new BothLanguages(world, user!, kernels[0]!, python);
  await both.shareSignIn();
  for (let round = 0; round < ROUNDS; round++) await both.refreshAtOnce();
});

test("JupyterHub, Vault: no token is in a file, a log, or among a process's arguments", async () => {
  await searchForSecrets(world, { except: [`${world.folder.path}/logins`] });
});
